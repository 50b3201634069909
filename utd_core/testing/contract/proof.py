"""How a contract test says which behaviour it proves, and what it expects of errors."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from ...errors import ErrorCode, UTDStreamException
from .behaviours import BEHAVIOURS

E = TypeVar("E", bound=UTDStreamException)

MARKER = "utd_proves"


def proves(*numbers: str) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    """Mark a test, which takes the fixture `harness`, as the proof of behaviours.

    The test runs on a loop of its own and is given up after the harness' `watchdog`.
    Raises `ValueError` for a number that is not in the registry.
    """
    for number in numbers:
        if number not in BEHAVIOURS:
            raise ValueError(f"{number} is not a behaviour of the contract")

    def mark(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        @functools.wraps(test)
        async def watched(**fixtures: Any) -> None:
            async with asyncio.timeout(fixtures["harness"].watchdog):
                await test(**fixtures)

        proven: Callable[..., Awaitable[None]] = pytest.mark.asyncio(loop_scope="function")(watched)
        return getattr(pytest.mark, MARKER)(*numbers)(proven)  # type: ignore[no-any-return]  # marks are untyped

    return mark


@contextmanager
def refused(kind: type[E], code: ErrorCode | None = None, *, what: str = "") -> Iterator[list[E]]:
    """The block raises an error of this kind (and code), with a message for people; it is put into the list.

    Another error, above all one that is not of this package, is told as what it is.
    """
    wanted = f"{what}expected {kind.__name__}{f' [{code}]' if code else ''}"
    caught: list[E] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
        if code is not None and error.code != code:
            raise AssertionError(f"{wanted}, got {error!r} [{error.code}]") from error
        if not error.message.strip():
            raise AssertionError(f"{kind.__name__} has no message that says what to do") from error
    except UTDStreamException as error:
        raise AssertionError(f"{wanted}, got {type(error).__name__}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{wanted}, but a foreign {type(error).__name__} came out: {error}") from error
    else:
        raise AssertionError(f"{wanted}, but nothing was raised")
