"""Where the recordings go."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import InvalidInput, MediaError


class Recordings:
    """Recordings are made in `making`, which is gone in the end. `kept`: where they go, None for nowhere."""

    def __init__(self, making: Path, kept: Path | None) -> None:
        self.making = making
        self.kept = kept
        self.is_kept = False

    def keep(self) -> None:
        """Put everything that was made in its place, over what an earlier run left there. Raises `MediaError`."""
        if self.kept is None:
            return
        try:
            for file in sorted(self.making.iterdir()):
                file.replace(self.kept / file.name)
        except OSError as error:
            raise MediaError(f"the recordings cannot be put into {self.kept}: {error.strerror or error}") from error
        self.is_kept = True


@contextmanager
def recordings(wanted: Path | None) -> Iterator[Recordings]:
    """A folder for the recordings of one run, which is made if it is not there; None: a temporary one.

    They are made in a hidden folder inside, and moved by `keep()`: a run that is stopped leaves nothing, neither half
    a recording nor a new folder, and takes nothing away. Raises `InvalidInput` when the folder cannot be written.
    """
    kept = None if wanted is None else wanted.absolute()
    missing = [] if kept is None else [folder for folder in (kept, *kept.parents) if not folder.exists()]
    try:
        if kept is not None:
            kept.mkdir(parents=True, exist_ok=True)
        made = Recordings(Path(tempfile.mkdtemp(prefix=".utd-demo-", dir=kept)), kept)
    except OSError as error:
        _remove(missing)
        raise InvalidInput(f"{wanted} cannot be written ({error.strerror or error}); give another folder") from error
    try:
        yield made
    finally:
        shutil.rmtree(made.making, ignore_errors=True)
        if not made.is_kept:
            _remove(missing)


def _remove(folders: list[Path]) -> None:
    """Remove folders that were made here, the innermost first, as long as nobody put anything into them."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
