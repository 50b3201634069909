"""`Closeable`: `async with` closes, however the block ends."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.concurrency import Closeable
from utd_core.errors import Closed
from utd_core.media.backend import FrameReader, MediaBackend, MediaConnection
from utd_mock import MockBackend


class Door(Closeable):
    def __init__(self) -> None:
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1


async def test_a_block_that_ends_well_closes() -> None:
    async with Door() as door:
        assert door.closed == 0
    assert door.closed == 1


async def test_a_block_that_raises_closes_and_the_error_goes_on() -> None:
    door = Door()
    with pytest.raises(KeyError):
        async with door:
            raise KeyError("no")
    assert door.closed == 1


async def test_a_block_that_is_cancelled_closes() -> None:
    door = Door()

    async def stand_in_it() -> None:
        async with door:
            await asyncio.Event().wait()

    standing = asyncio.ensure_future(stand_in_it())
    await asyncio.sleep(0)
    standing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await standing
    assert door.closed == 1


@pytest.mark.parametrize("kind", [MediaBackend, MediaConnection, FrameReader])
def test_what_a_plugin_implements_is_closed_by_async_with(kind: type) -> None:
    assert issubclass(kind, Closeable)
    assert "aclose" in kind.__abstractmethods__


async def test_a_backend_is_closed_by_async_with() -> None:
    async with MockBackend() as backend:
        await backend.control.create_room("lobby")
        control = backend.control
    with pytest.raises(Closed):
        await control.create_room("lobby")
