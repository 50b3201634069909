"""Coming and going for a long time leaves nothing."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

from utd_core.media.faults import Fault

from .stage import AUDIO, ROOM, Stage, seen, sound, stage, waiting_in

CYCLES = 1_000
WARM_UP = 100


def census() -> Counter[str]:
    gc.collect()
    return Counter(type(thing).__qualname__ for thing in gc.get_objects())


async def cycle(it: Stage, number: int) -> None:
    ann, bob = await it.join("ann"), await it.join(f"bob-{number}")
    track = await it.publish(ann, AUDIO)
    reader = bob.read(track.info.id)
    await track.write(sound())
    assert len(await waiting_in(reader)) == 1
    if number % 10 == 0:
        await it.inject(Fault.SIGNAL_DROP, "ann", seconds=1.0)
        await it.inject(Fault.JITTER, f"bob-{number}", seconds=1.0)
        await track.write(sound())
    seen(ann)
    await ann.aclose()
    await bob.aclose()


async def test_a_thousand_cycles_of_join_publish_and_leave_leave_no_task_and_no_object() -> None:
    async with stage() as it:
        for number in range(WARM_UP):
            await cycle(it, number)
        it.server.trace.clear()
        tasks = asyncio.all_tasks()
        counts = [census()]
        for _ in range(2):
            for number in range(CYCLES // 2):
                await cycle(it, number)
            it.server.trace.clear()
            counts.append(census())
        # Every tenth cycle has faults, so what only those leave would be counted fifty times. What the interpreter
        # itself remembers (the caches of abstract classes) grows once, what leaks grows again and again.
        grown = (counts[1] - counts[0]) & (counts[2] - counts[1])
        assert {name: count for name, count in grown.items() if count > CYCLES // 40} == {}
        assert asyncio.all_tasks() == tasks
        assert it.clock.pending == ()
        assert it.server.rooms[ROOM].participants == {}
