"""Many people, coming and going: nothing grows, nothing is forgotten."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc

import pytest

from utd_core.media.faults import Fault
from utd_core.model.commands import EndCall, LeaveSeat, TakeSeat

from .world import ROOM, Person, World, outcome


async def test_a_thousand_come_take_a_seat_and_go(world: World) -> None:
    await world.room(seat_count=10)
    people = [world.person(f"guest-{number}") for number in range(50)]

    async def visit(person: Person) -> None:
        for _ in range(20):
            await person.join(connect=False)
            await outcome(person.do(TakeSeat(room=ROOM)))
            await asyncio.sleep(0)
            await outcome(person.do(LeaveSeat(room=ROOM)))
            await person.leave()

    await asyncio.gather(*map(visit, people))
    await world.advance(100)
    statistics = world.engine.statistics()
    assert statistics.participants == 1
    assert (statistics.waiting, statistics.reconcile_waiting) == (0, 0)
    assert (await world.state()).grid.occupants() == {}
    assert statistics.commands["join_room", "ok"] == 1_001
    assert statistics.commands["leave_room", "ok"] == 1_000


async def test_memory_is_flat_over_visits(world: World) -> None:
    await world.room()

    async def visits(count: int, begin: int) -> None:
        for number in range(begin, begin + count):
            guest = await world.guest(f"guest-{number}")
            await guest.follow("private-room.room")
            await guest.do(TakeSeat(room=ROOM))
            await guest.leave()
            await guest.disconnect()
            call = await guest.call(f"friend-{number}")
            await guest.do(EndCall(id=call.call_id))
        await world.advance(600)
        gc.collect()

    await visits(50, 0)
    world.server.trace.clear()
    tracemalloc.start(5)
    await visits(20, 100)
    world.server.trace.clear()
    gc.collect()
    before = tracemalloc.take_snapshot()
    await visits(100, 200)
    world.server.trace.clear()
    gc.collect()
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    only = [tracemalloc.Filter(True, "*/utd_core/engine/*")]
    grown = sum(
        difference.size_diff
        for difference in after.filter_traces(only).compare_to(before.filter_traces(only), "lineno")
    )
    # Two calls and rooms stay in memory as the most recently used ones, by `resident_limit`; 100 calls are 100 of them.
    assert grown < 100 * 8_000, f"{grown / 100:.0f} bytes for each visit"
    machinery = world.engine._machinery
    assert machinery is not None
    assert not machinery.lines.engaged
    assert not machinery.lines._lines
    assert not machinery.lines._wanted
    assert len(machinery.core.presences) == 1
    assert not machinery.reconciler._lingering
    assert not machinery.media_rooms._condemned
    assert not machinery.idempotency._under_way
    assert len(machinery.subscriptions) == 0


@pytest.mark.parametrize("seed", range(5))
async def test_people_who_come_go_and_break_off_are_all_accounted_for(world: World, seed: int) -> None:
    chance = random.Random(seed)
    await world.room(seat_count=8)
    people = [world.person(f"guest-{number}") for number in range(12)]
    for fault in (Fault.NOTIFICATIONS_LOST, Fault.NOTIFICATIONS_DOUBLED, Fault.NOTIFICATIONS_DELAYED):
        await world.fault(fault, times=10)

    async def act(person: Person) -> None:
        inside = person.identity in world.connected()
        deed = chance.choice(["join", "ticket", "leave", "close", "break", "seat"])
        if deed == "join":
            await person.join()
        elif deed == "ticket":
            await person.join(connect=False)
        elif deed == "leave":
            await outcome(person.leave())
        elif deed == "close" and person.connection is not None:
            await person.connection.aclose()
        elif deed == "break" and inside:
            await outcome(world.fault(Fault.NODE_FAILURE, person.identity, seconds=0))
        elif deed == "seat":
            await outcome(person.do(TakeSeat(room=ROOM)))

    for _ in range(40):
        for person in chance.sample(people, 4):
            await act(person)
        await world.advance(chance.choice([0.0, 0.3, 3.0]))
    await world.advance(200)
    assert await world.count() == len(world.connected())
    state = await world.state()
    assert set(state.grid.occupants()) <= world.connected()
    for identity in world.connected():
        assert world.may_speak(identity) == (state.grid.seat_of(identity) is not None)
