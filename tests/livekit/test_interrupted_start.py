"""What begins with the first request, cancelled or closed while it begins: it is there whole, and ends whole."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from utd_core.errors import Closed, MediaError
from utd_core.testing.contract.harness import Harness
from utd_core.testing.contract.interrupt import Closing, at_every_await, cancel
from utd_core.testing.leaks import Snapshot, assert_no_leaks
from utd_core.testing.wait import eventually, within
from utd_livekit.backend import LiveKitBackend
from utd_livekit.notifications import Receiver
from utd_livekit.server.local import LocalServer, free_port

PATIENCE = 30.0
WAITS = cast(Harness, SimpleNamespace(eventually=eventually, within=within))
"""As much of a harness as striking needs."""


async def is_heard(port: int) -> bool:
    """Whether somebody listens at a port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@pytest.fixture
def receivers() -> list[tuple[Receiver, int]]:
    """Those that were made, with their ports."""
    return []


def receiver(made: list[tuple[Receiver, int]]) -> Receiver:
    port = free_port()
    made.append((Receiver(f"127.0.0.1:{port}", lambda body, headers: None), port))
    return made[-1][0]


async def test_webhooks_are_heard_though_the_first_request_is_cancelled_while_listening_begins(
    receivers: list[tuple[Receiver, int]],
) -> None:
    before = Snapshot.take()

    async def prepare() -> Coroutine[Any, Any, None]:
        return receiver(receivers).open()

    async for struck in at_every_await(WAITS, prepare, cancel):
        assert struck.error is None, f"{struck}: {struck.error!r}"
        made, port = receivers[-1]
        await made.open()
        assert await is_heard(port), str(struck)
        await made.aclose()
        assert not await is_heard(port), str(struck)
    await assert_no_leaks(before)


async def test_nothing_listens_any_more_that_was_closed_while_listening_began(
    receivers: list[tuple[Receiver, int]],
) -> None:
    before = Snapshot.take()

    async def close_it() -> None:
        await receivers[-1][0].aclose()

    closing = Closing(close_it)

    async def prepare() -> Coroutine[Any, Any, None]:
        return receiver(receivers).open()

    async for struck in at_every_await(WAITS, prepare, closing):
        struck.ended_well()
        await closing.done(WAITS)
        assert not await is_heard(receivers[-1][1]), str(struck)
    await assert_no_leaks(before)


@pytest.mark.parametrize("turns", range(6))
async def test_a_delivery_that_begins_while_the_receiver_closes_neither_stays_nor_holds_it_up(
    receivers: list[tuple[Receiver, int]], turns: int
) -> None:
    before = Snapshot.take()
    made = receiver(receivers)
    await made.open()
    with socket.create_connection(("127.0.0.1", receivers[-1][1])):
        for _ in range(turns):
            await asyncio.sleep(0)
        # Not in a task of its own, which would begin a turn later.
        async with asyncio.timeout(PATIENCE):
            await made.aclose()
        left = Snapshot.take().leaked_since(before)
        assert len(left) == 1, f"more than this end of the connection: {left}"


async def test_a_port_that_was_taken_is_listened_at_when_it_is_free() -> None:
    port = free_port()
    first, second = (Receiver(f"127.0.0.1:{port}", lambda body, headers: None) for _ in range(2))
    await first.open()
    with pytest.raises(MediaError, match=str(port)):
        await second.open()
    await first.aclose()
    await second.open()
    assert await is_heard(port)
    await second.aclose()


@pytest.mark.heavy
async def test_a_server_of_its_own_runs_though_the_first_request_is_cancelled_while_it_starts(
    built_server: object,
) -> None:
    async with LiveKitBackend({"local": True}) as backend:
        first = asyncio.create_task(backend.control.list_rooms())
        own = await starting(backend)
        first.cancel()
        assert await backend.control.list_rooms() == []
        assert runs(own)
    assert not runs(own)
    assert first.cancelled()


@pytest.mark.heavy
async def test_no_server_stays_that_was_starting_when_its_backend_was_closed(built_server: object) -> None:
    backend = LiveKitBackend({"local": True})
    asking = [asyncio.create_task(backend.control.list_rooms()) for _ in range(5)]
    own = await starting(backend)
    await backend.aclose()
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in ended] == [Closed] * 5, ended
    assert not runs(own)
    assert own.log is None


def runs(server: LocalServer) -> bool:
    return server.pid is not None


async def starting(backend: LiveKitBackend) -> LocalServer:
    """The backend's own server, which is being started."""
    own = backend._own
    assert own is not None
    await eventually(lambda: own.log is not None, PATIENCE, what="the start")
    return own
