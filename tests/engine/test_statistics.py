from __future__ import annotations

import asyncio

import pytest

from utd_core.engine import EngineStatistics
from utd_core.model.commands import GetRoom, LeaveSeat, TakeSeat

from .world import ROOM, GatedStore, World, outcome


async def test_a_new_engine_has_done_nothing(world: World) -> None:
    statistics = world.engine.statistics()
    assert isinstance(statistics, EngineStatistics)
    assert (statistics.rooms, statistics.calls, statistics.participants, statistics.commits) == (0, 0, 0, 0)
    assert statistics.commands == {}


@pytest.mark.embedded("a client's keys make transactions of their own")
async def test_it_counts_what_is_there_and_what_was_done(world: World) -> None:
    host = await world.room()
    await world.guest("guest")
    await world.room("other", "elsewhere")
    await world.person("ann").call("bob")
    await host.do(TakeSeat(room=ROOM))
    await outcome(host.do(TakeSeat(room=ROOM)))
    await outcome(host.do(LeaveSeat(room="elsewhere")))
    await host.do(GetRoom(room=ROOM))
    statistics = world.engine.statistics()
    assert (statistics.rooms, statistics.calls, statistics.participants) == (2, 1, 3)
    assert statistics.commands["take_seat", "ok"] == 1
    assert statistics.commands["take_seat", "already_seated"] == 1
    assert statistics.commands["leave_seat", "not_joined"] == 1
    assert statistics.commands["get_room", "ok"] == 1
    assert statistics.commits == 4
    assert statistics.events >= 6


async def test_it_is_a_snapshot(world: World) -> None:
    before = world.engine.statistics()
    await world.room()
    assert before.rooms == 0
    assert before.commands == {}


async def test_it_counts_what_waits(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    store.hold()
    commands = [asyncio.ensure_future(outcome(host.do(TakeSeat(room=ROOM)))) for _ in range(4)]
    await gated.settle()
    more = [asyncio.ensure_future(outcome(host.do(LeaveSeat(room=ROOM)))) for _ in range(3)]
    await gated.settle()
    assert gated.engine.statistics().waiting == 3
    store.release()
    await asyncio.gather(*commands, *more)
    assert gated.engine.statistics().waiting == 0
