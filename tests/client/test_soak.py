"""A thousand times in and out: no task, thread or descriptor left, and no memory that grows."""

from __future__ import annotations

import gc
import tracemalloc

from utd_core.client import UTDStreamClient
from utd_core.testing.leaks import Snapshot, assert_no_leaks

from .world import ROOM, World

CYCLES = 1_000
WARM_UP = 200
"""Cycles after which caches, histories and pools have their size."""
MOST_GROWTH = 300
"""Bytes per cycle: what one kept event or one forgotten task would exceed by far."""


async def cycle(client: UTDStreamClient, world: World) -> None:
    session = await client.join_audio_room(ROOM)
    await world.run(session.take_seat())
    assert session.room.publishing.value
    await world.run(session.leave())
    await session.aclose()


async def test_a_thousand_cycles_of_join_publish_and_leave(world: World) -> None:
    await world.audio_room("host", as_host=True)
    client = await world.client("guest")
    await cycle(client, world)
    await world.settle()
    before = Snapshot.take()
    for _ in range(WARM_UP):
        await cycle(client, world)
    gc.collect()
    tracemalloc.start()
    first, _ = tracemalloc.get_traced_memory()
    for _ in range(CYCLES - WARM_UP):
        await cycle(client, world)
    await world.settle()
    gc.collect()
    last, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await assert_no_leaks(before)
    assert world.backend.server.rooms[ROOM].participants.keys() == {"host"}
    assert (last - first) / (CYCLES - WARM_UP) < MOST_GROWTH
