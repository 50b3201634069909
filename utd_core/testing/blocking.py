"""Nothing blocks the event loop: `time.sleep`, file, socket and lock waits on it fail the test.

The detector is `blockbuster`, of the extra `testing`. It raises inside the call that blocks; a background
task that logs its failure would hide that, so the calls are also written down and reported at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ErrorCode, UTDStreamException

_ALLOWED = (
    ("utd_core/testing/leaks.py", "_open_descriptors"),
    # Heavy libraries are imported when they are first needed, which happens once in a process.
    ("<frozen importlib._bootstrap>", "_find_and_load"),
    # So are the plugins of pydantic, with the first model that is completed.
    ("pydantic/plugin/_loader.py", "get_plugins"),
    # Where a log goes is the application's choice; pytest writes every record to the null device too.
    ("logging/__init__.py", "emit"),
    # asyncpg looks for files with passwords and certificates when it connects, which is rare.
    ("asyncpg/connect_utils.py", "_parse_connect_arguments"),
    # SQLite in memory: the calls have the names of those that wait for a disk, but there is none.
    ("utd_core/store/memory.py", "read"),
    ("utd_core/store/memory.py", "write"),
    ("utd_core/store/memory.py", "commit"),
)


class Watch:
    """The blocking calls seen so far, by the name of the function."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def check(self) -> None:
        """Raise `AssertionError` naming every blocking call."""
        if self.calls:
            raise AssertionError(f"blocked the event loop: {', '.join(self.calls)}; await it, or move it to a thread")


@contextmanager
def no_blocking_calls(*, allow: tuple[tuple[str, str], ...] = ()) -> Iterator[Watch]:
    """Fail on calls that block the running loop, until the block ends.

    `allow`: pairs (end of a file name, name of a function) whose callees may block.
    Raises `AssertionError` at the end for a call that was hidden by an except clause on its way, and
    `UTDStreamException` (missing_extra) where `blockbuster` is not installed.
    """
    try:
        import blockbuster
    except ImportError as error:
        raise UTDStreamException(
            'watching for blocking calls needs blockbuster; pip install "utd-core[testing]"',
            code=ErrorCode.MISSING_EXTRA,
        ) from error
    watch = Watch()
    detector = blockbuster.BlockBuster()
    for filename, caller in (*_ALLOWED, *allow):
        for function in detector.functions.values():
            function.can_block_in(filename, caller)
    detector.activate()
    try:
        with _noting(watch):
            yield watch
    finally:
        detector.deactivate()
    watch.check()


@contextmanager
def _noting(watch: Watch) -> Iterator[None]:
    # The detector looks its error class up by name when it raises, so a subclass in its place sees every call.
    import blockbuster

    module = sys.modules[blockbuster.BlockingError.__module__]
    original = blockbuster.BlockingError

    class NotedBlockingError(original):  # type: ignore[valid-type, misc]  # a class made at run time
        def __init__(self, function: str) -> None:
            watch.calls.append(function)
            super().__init__(function)

    setattr(module, original.__name__, NotedBlockingError)
    try:
        yield
    finally:
        setattr(module, original.__name__, original)
