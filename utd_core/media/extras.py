"""Optional dependencies: imported where they are used, and named when they are missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ErrorCode, UTDStreamException


@contextmanager
def needs_extra(feature: str, extra: str = "av") -> Iterator[None]:
    """Around an optional import: a missing module becomes an error that says what to install.

    Raises `UTDStreamException` (missing_extra) that names `feature` and the extra.
    """
    try:
        yield
    except ImportError as error:
        missing = error.name or "a module"
        message = f'{feature} needs {missing}, which is not installed; pip install "utd-core[{extra}]"'
        raise UTDStreamException(message, code=ErrorCode.MISSING_EXTRA, details={"extra": extra}) from error
