"""What the scripts bring is kept in the user's cache folder, or in build/ where that cannot be written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def kept(name: str, bring: Callable[[Path], Path], *, mark: str = "") -> Path:
    """The folder of this name, brought if it is not there. Several may do so at once. Raises what `bring` does.

    `bring` is given an empty folder, and answers what in it is to be kept. `mark`: what such a folder holds when it is
    whole.
    """
    last = ROOT / "build"
    for home in (cache_folder(), last):
        target = home / name
        if (target / mark).is_dir():
            return target
        try:
            home.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=home))
        except OSError:
            if home == last:
                raise
            continue
        try:
            _put(bring(fresh), target, mark)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return target
    raise AssertionError("the last home was returned from, or raised")


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "utd-core"


def _put(fresh: Path, target: Path, mark: str) -> None:
    try:
        fresh.rename(target)
    except OSError:
        # Somebody else has brought the same a moment ago.
        if not (target / mark).is_dir():
            raise
