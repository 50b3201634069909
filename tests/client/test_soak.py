"""A thousand times in and out: no task, thread or descriptor left, and no memory that grows."""

from __future__ import annotations

import gc
import sys

import pytest

from utd_core.client import UTDStreamClient
from utd_core.testing.leaks import Snapshot, assert_no_leaks

from .world import ROOM, World, now

CYCLES = 1_000
WARM_UP = 400
"""Cycles after which the five minutes of history that an engine keeps are full: a cycle takes a second of its time."""
MOST_GROWTH = 3
"""Blocks of memory per cycle; what forgets one event, one task or one callback each time exceeds it."""


async def cycle(client: UTDStreamClient, world: World) -> None:
    session = await client.join_audio_room(ROOM)
    await world.run(session.take_seat())
    assert now(session.room.publishing)
    await world.run(session.leave())
    await session.aclose()
    await world.clock.advance(1.0)


@pytest.mark.parity("U7", "U11")
async def test_a_thousand_cycles_of_join_publish_and_leave(world: World) -> None:
    await world.audio_room("host", as_host=True)
    client = await world.client("guest")
    for _ in range(WARM_UP):
        await cycle(client, world)
    await world.settle()
    before = Snapshot.take()
    gc.collect()
    blocks = sys.getallocatedblocks()
    for _ in range(CYCLES - WARM_UP):
        await cycle(client, world)
    await world.settle()
    gc.collect()
    growth = (sys.getallocatedblocks() - blocks) / (CYCLES - WARM_UP)
    await assert_no_leaks(before)
    assert world.backend.server.rooms[ROOM].participants.keys() == {"host"}
    assert growth < MOST_GROWTH
