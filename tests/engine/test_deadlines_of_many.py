"""Several engines on one PostgreSQL: each deadline fires exactly once, whoever set it and whoever died meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from utd_core.engine import Engine
from utd_core.model.call import CallEnded, CallStarted, UTDCallStatus
from utd_core.model.channels import call_channel, room_channel, user_channel
from utd_core.model.command import THE_SERVER, Actor
from utd_core.model.commands import AcceptCall, CreateBan, CreateRoom, GetCall, ListBans, StartCall
from utd_core.model.results import UTDCall
from utd_core.model.room import RoomEnded
from utd_core.model.stream_type import UTDStreamType
from utd_core.store import Store

from .conftest import MakeWorld
from .world import World, outcomes

CALLS = 40
RING = 30.0


@pytest.fixture
async def world(world_on: MakeWorld) -> World:
    return await world_on("postgresql")


async def nodes(world: World, stack: AsyncExitStack, count: int) -> list[Engine]:
    """The world's engine and others like it, each with connections of its own."""
    return [
        world.engine,
        *[await stack.enter_async_context(world.make_engine()) for _ in range(count - 1)],
    ]


async def ring(engines: Sequence[Engine]) -> list[UTDCall]:
    """Calls that nobody will answer, by all engines."""
    calls = await outcomes(
        *(
            engines[number % len(engines)].execute(
                StartCall(type=UTDStreamType.AUDIO_CALL, callee=f"callee-{number}", ring_timeout=RING),
                actor=Actor(f"caller-{number}"),
            )
            for number in range(CALLS)
        )
    )
    assert all(isinstance(call, UTDCall) for call in calls), calls
    return calls


async def fired(store: Store | None, channel: str, kind: type) -> int:
    """How often an event is in a channel, which has no hole."""
    assert store is not None
    head = await store.head(channel)
    history = await store.history(channel, head.epoch, 0, 100)
    assert history is not None
    assert [envelope.offset for envelope in history] == list(range(1, head.offset + 1))
    return sum(isinstance(envelope.event, kind) for envelope in history)


@pytest.mark.parametrize("count", [2, 3])
async def test_a_deadline_that_several_engines_wait_for_fires_once(world: World, count: int) -> None:
    async with AsyncExitStack() as stack:
        engines = await nodes(world, stack, count)
        calls = await ring(engines)
        rooms = [f"room-{number}" for number in range(9)]
        for number, room in enumerate(rooms):
            command = CreateRoom(room=room, type=UTDStreamType.AUDIO_ROOM, max_duration=RING + 2)
            await engines[number % count].execute(command)
        await world.advance(RING + 11)
        for number, call in enumerate(calls):
            channel = call_channel(call.call_id)
            assert await fired(world.engine._store, channel, CallStarted) == 1
            assert await fired(world.engine._store, channel, CallEnded) == 1
            assert await fired(world.engine._store, user_channel(f"callee-{number}"), CallEnded) == 1
        for room in rooms:
            assert await fired(world.engine._store, room_channel(room), RoomEnded) == 1
        assert await engines[-1]._store.next_deadline() is None  # type: ignore[union-attr]  # it is open
        await world.advance(120)
        assert await fired(world.engine._store, call_channel(calls[0].call_id), CallEnded) == 1


async def test_the_deadlines_of_an_engine_that_died_are_the_others(world: World) -> None:
    async with AsyncExitStack() as stack:
        engines = await nodes(world, stack, 3)
        # They have a deadline of their own, which is much later.
        late = CreateRoom(room="late", type=UTDStreamType.AUDIO_ROOM, max_duration=3_600)
        await engines[1].execute(late)
        await world.advance(world.settings.deadline_interval + 1)
        calls = await ring(engines[:1])
        await world.stop()
        await world.advance(RING - 0.5)
        for call in calls:
            seen = await engines[1].execute(GetCall(id=call.call_id), actor=THE_SERVER)
            assert seen.status is UTDCallStatus.INITIATING
        await world.advance(0.5 + world.settings.deadline_interval)
        for call in calls:
            assert await fired(engines[2]._store, call_channel(call.call_id), CallEnded) == 1


async def test_a_deadline_that_an_engine_s_own_memory_knows_nothing_of_fires(world: World) -> None:
    """What it has in memory is older than the deadline, by which alone nothing would be due."""
    async with AsyncExitStack() as stack:
        other = (await nodes(world, stack, 2))[1]
        assert (await other.execute(ListBans())).data == ()
        await world.server_does(CreateBan(identity="guest", duration=RING))
        await world.stop()
        assert other._store is not None
        assert await other._store.next_deadline() is not None
        await world.advance(RING + world.settings.deadline_interval)
        assert await other._store.next_deadline() is None
        assert (await other.execute(ListBans())).data == ()


async def test_a_ring_timeout_and_an_answer_at_the_same_instant_are_one_of_the_two(world: World) -> None:
    async with AsyncExitStack() as stack:
        engines = await nodes(world, stack, 3)
        calls = await ring(engines)
        await world.advance(RING - 0.001)
        answers = [
            engines[number % 3].execute(AcceptCall(id=call.call_id), actor=Actor(f"callee-{number}"))
            for number, call in enumerate(calls)
        ]
        results, _ = await outcomes(outcomes(*answers), world.advance(0.002))
        await world.settle()
        for call, result in zip(calls, results, strict=True):
            seen = await engines[0].execute(GetCall(id=call.call_id), actor=THE_SERVER)
            accepted = isinstance(result, UTDCall)
            history = await fired(engines[1]._store, call_channel(call.call_id), CallEnded)
            assert history == (0 if accepted else 1), (seen.status, result)
