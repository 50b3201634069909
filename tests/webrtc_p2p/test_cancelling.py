"""A call that is cancelled while it is made or answered, at each moment in which something happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from tests.client.conftest import way  # noqa: F401  # a fixture
from tests.client.world import Way, now
from utd_core.client import UTDCall, UTDCallSession, UTDStreamClient
from utd_core.errors import UTDStreamException
from utd_core.model.session import SessionState
from utd_core.testing.leaks import Snapshot

from .calls import P2PWorld

pytestmark = pytest.mark.heavy

MOST_TURNS = 600


@pytest.fixture
async def world(way: Way) -> AsyncIterator[P2PWorld]:  # noqa: F811  # the fixture
    async with P2PWorld(way) as world:
        yield world


async def happens(turns: int, task: asyncio.Task[Any]) -> bool:
    """Wait until something has happened in `turns` turns of the loop; False where the task had ended by then.

    Turns in which everybody waits for the network or the clock are not counted: how many there are is chance.
    """
    ready: Any = getattr(asyncio.get_running_loop(), "_ready", ())
    while turns and not task.done():
        await asyncio.sleep(0)
        turns -= bool(ready)
    return not task.done()


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    # What the other side did in the same moment may come first.
    with suppress(asyncio.CancelledError, UTDStreamException):
        await task


async def test_a_start_that_is_cancelled_at_any_turn_leaves_no_call_and_no_line(world: P2PWorld) -> None:
    alice = await world.caller("alice")
    bob = await world.client("bob")
    await world.run(alice.start("bob"))
    await world.run(alice.end())
    await world.settle()
    before = Snapshot.take()
    for turns in range(MOST_TURNS):
        starting = asyncio.create_task(alice.start("bob"))
        went_on = await happens(turns, starting)
        await world.run(cancelled(starting))
        await world.run(alice.end())
        await gone(world, before, f"a start cancelled at turn {turns}")
        assert now(bob.incoming_calls) == ()
        assert now(alice.state) in (SessionState.IDLE, SessionState.DISCONNECTED)
        if not went_on:
            return
    pytest.fail("starting takes more turns; look at more of them")


async def test_an_answer_that_is_cancelled_at_any_turn_leaves_no_call_and_no_line(world: P2PWorld) -> None:
    alice = await world.caller("alice")
    bob_client = await world.client("bob")
    bob = await world.keep(bob_client.call_session("audio_call"))
    await world.run(bob.accept((await called(alice, bob_client, world)).call_id))
    await world.run(asyncio.gather(alice.end(), bob.end()))
    await world.settle()
    before = Snapshot.take()
    # On the network most turns are those of the server, which is played here: every fifth is looked at.
    for turns in range(0, MOST_TURNS, 1 if world.way == "embedded" else 5):
        incoming = await called(alice, bob_client, world)
        answering = asyncio.create_task(bob.accept(incoming.call_id))
        went_on = await happens(turns, answering)
        await world.run(cancelled(answering))
        await world.run(asyncio.gather(alice.end(), bob.end()))
        await gone(world, before, f"an answer cancelled at turn {turns}")
        assert now(bob_client.incoming_calls) == ()
        if not went_on:
            return
    pytest.fail("answering takes more turns; look at more of them")


async def called(alice: UTDCallSession, bob: UTDStreamClient, world: P2PWorld) -> UTDCall:
    """A call that rings."""
    await world.run(alice.start("bob"))
    (ringing,) = await world.run(bob.incoming_calls.wait_for(timeout=5.0))
    return ringing


async def gone(world: P2PWorld, before: Snapshot, what: str) -> None:
    await world.until(
        lambda: not any(room.stays for room in world.backend.board.rooms.values()), what=f"{what}: no stay"
    )
    await world.until(lambda: world.engine.statistics().calls == 0, what=f"{what}: no call")
    await world.until(lambda: left(before) == [], what=f"{what}: no task")


def left(before: Snapshot) -> list[str]:
    """What a call left. The engine's own workers are not counted, nor a channel that the server keeps for a while for
    those who come back."""
    found = Snapshot.take().leaked_since(before)
    return [line for line in found if not line.startswith(("task engine:", "task sockets of "))]
