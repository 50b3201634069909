from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from utd_core.errors import Conflict, InvalidInput
from utd_core.model.commands import CreateRoom, EndRoom, GetRoom, JoinRoom, LeaveSeat, StartCall, TakeSeat
from utd_core.model.stream_type import UTDStreamType

from .conftest import MakeWorld
from .world import ROOM, GatedStore, World, codes, outcome, outcomes

AUDIO_ROOM = UTDStreamType.AUDIO_ROOM


@pytest.fixture(params=["memory", "postgresql"])
async def world(request: pytest.FixtureRequest, world_on: MakeWorld) -> World:
    """An engine with its store in memory, and one on PostgreSQL."""
    return await world_on(request.param)


@pytest.mark.parity("B4")
async def test_a_repeat_is_answered_with_the_first_answer(world: World) -> None:
    host = await world.room()
    first = await host.do(TakeSeat(room=ROOM), "k")
    await host.do(LeaveSeat(room=ROOM))
    assert await host.do(TakeSeat(room=ROOM), "k") == first
    assert (await world.state()).grid.seat_of("host") is None, "the repeat changed nothing"


async def test_a_repeat_of_a_command_without_an_answer_is_not_done_again(world: World) -> None:
    host = await world.room()
    await host.do(TakeSeat(room=ROOM))
    assert await host.do(LeaveSeat(room=ROOM), "k") is None
    await host.do(TakeSeat(room=ROOM))
    assert await host.do(LeaveSeat(room=ROOM), "k") is None
    assert (await world.state()).grid.seat_of("host") is not None


async def test_a_repeat_while_the_first_is_under_way_waits_for_it(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    store.hold()
    calls = [asyncio.ensure_future(host.do(TakeSeat(room=ROOM), "k")) for _ in range(5)]
    await gated.settle()
    assert not any(call.done() for call in calls)
    store.release()
    seats = await asyncio.gather(*calls)
    assert len(set(seats)) == 1
    assert gated.engine.statistics().commands["take_seat", "ok"] == 1


async def test_a_repeat_after_the_first_caller_was_cancelled_is_not_done_twice(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    store.hold()
    first = asyncio.ensure_future(host.do(TakeSeat(room=ROOM), "k"))
    await gated.settle()
    first.cancel()
    await gated.settle()
    repeat = asyncio.ensure_future(host.do(TakeSeat(room=ROOM), "k"))
    await gated.settle()
    store.release()
    assert (await repeat).identity == "host"
    assert gated.engine.statistics().commands["take_seat", "ok"] == 1


async def test_another_command_under_the_same_key_is_refused(world: World) -> None:
    host = await world.room()
    await host.do(TakeSeat(room=ROOM, index=1), "k")
    for other in (TakeSeat(room=ROOM, index=2), LeaveSeat(room=ROOM)):
        with pytest.raises(Conflict) as caught:
            await host.do(other, "k")
        assert caught.value.code == "idempotency_mismatch"


async def test_another_command_under_the_key_of_one_under_way_is_refused(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    store.hold()
    first = asyncio.ensure_future(host.do(TakeSeat(room=ROOM, index=1), "k"))
    await gated.settle()
    assert codes([await outcome(host.do(TakeSeat(room=ROOM, index=2), "k"))]) == ["idempotency_mismatch"]
    store.release()
    await first


async def test_keys_of_two_people_are_two_keys(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    assert (await host.do(TakeSeat(room=ROOM), "k")).index == 0
    assert (await guest.do(TakeSeat(room=ROOM), "k")).index == 1


async def test_a_refusal_is_not_kept(world: World) -> None:
    host, guest = await world.room(seat_count=1), await world.guest("guest")
    await host.do(TakeSeat(room=ROOM))
    assert codes([await outcome(guest.do(TakeSeat(room=ROOM), "k"))]) == ["no_free_seat"]
    await host.do(LeaveSeat(room=ROOM))
    assert (await guest.do(TakeSeat(room=ROOM), "k")).identity == "guest"


async def test_an_answer_that_could_not_be_kept_was_not_given(gated: World, store: GatedStore) -> None:
    from utd_core.errors import StoreFailed

    host = await gated.room()
    store.failures = [StoreFailed("no")]
    assert codes([await outcome(host.do(TakeSeat(room=ROOM), "k"))]) == ["store_failed"]
    assert (await host.do(TakeSeat(room=ROOM), "k")).identity == "host"
    assert gated.engine.statistics().commands["take_seat", "ok"] == 1


async def test_a_repeat_after_a_restart_is_answered_with_the_first_answer(tmp_path: Path) -> None:
    async with World(tmp_path / "engine.db") as world:
        host = await world.room()
        first = await host.do(TakeSeat(room=ROOM), "k")
        made = await world.server_does(CreateRoom(room="other", type=AUDIO_ROOM), "made")
        await world.restart()
        assert await host.do(TakeSeat(room=ROOM), "k") == first
        assert await world.server_does(CreateRoom(room="other", type=AUDIO_ROOM), "made") == made
        assert codes([await outcome(host.do(LeaveSeat(room=ROOM), "k"))]) == ["idempotency_mismatch"]


async def test_a_repeated_join_gets_a_ticket_that_works(world: World) -> None:
    await world.room()
    guest = world.person("guest")
    join = JoinRoom(room=ROOM, type=AUDIO_ROOM)
    tickets = [await guest.do(join, "k") for _ in range(2)]
    await guest.connect(tickets[1])
    assert guest.is_connected()
    assert await world.count() == 2


async def test_a_repeated_join_of_somebody_removed_since_is_refused(world: World) -> None:
    from utd_core.model.commands import RemoveParticipant

    host = await world.room()
    guest = world.person("guest")
    await guest.do(JoinRoom(room=ROOM, type=AUDIO_ROOM), "k")
    await host.do(RemoveParticipant(room=ROOM, identity="guest", block=True))
    assert codes([await outcome(guest.do(JoinRoom(room=ROOM, type=AUDIO_ROOM), "k"))]) == ["not_joined"]


async def test_a_call_started_twice_under_one_key_rings_once(world: World) -> None:
    ann = world.person("ann")
    start = StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob")
    results = await outcomes(*(ann.do(start, "k") for _ in range(3)))
    assert len({call.call_id for call in results}) == 1
    assert all(call.ticket is not None for call in results)


async def test_a_query_is_never_answered_from_a_key(world: World) -> None:
    await world.room()
    before = await world.server_does(GetRoom(room=ROOM), "k")
    await world.server_does(EndRoom(room=ROOM))
    assert await world.server_does(GetRoom(room=ROOM), "k") != before


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb"])
async def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    host = await world.room()
    with pytest.raises(InvalidInput):
        await host.do(TakeSeat(room=ROOM), key)
    assert (await world.state()).grid.seat_of("host") is None
