"""Calls one after the other leave nothing behind."""

from __future__ import annotations

import gc
import resource
import threading

import pytest

from utd_core.errors import DeadlineExceeded
from utd_core.media.backend import ConnectOptions
from utd_core.testing.leaks import Snapshot, leaks_since

from .world import CAMERA, HUM, MICROPHONE, Stage, stage

pytestmark = pytest.mark.heavy

CALLS = 50
MOST_GROWTH = 30_000
"""Kilobytes by which the process may grow over the calls after the first ten."""


async def call(here: Stage, number: int) -> None:
    room = f"call-{number}"
    await here.backend.control.create_room(room)
    ann, bob = await here.join("ann", room=room), await here.join("bob", room=room)
    voice = await ann.publish(MICROPHONE)
    await bob.publish(CAMERA, width=160, height=120)
    frames = bob.collect(await bob.reads(voice))
    while not frames:
        for frame in HUM:
            await voice.write(frame)
            await here.backend.clock.sleep(0.02)
    await here.backend.control.close_room(room)
    for person in (ann, bob):
        await person.connection.aclose()


async def test_closing_while_addresses_are_gathered_leaves_no_socket() -> None:
    for milliseconds in range(1, 40):
        before = Snapshot.take()
        async with stage() as here:
            await here.line("silent")
            with pytest.raises(DeadlineExceeded):
                await here.join("ann", options=ConnectOptions(deadline=milliseconds / 1_000))
        assert await leaks_since(before) == [], f"a deadline of {milliseconds} ms left sockets"


async def test_fifty_calls_leave_no_task_thread_or_descriptor() -> None:
    async with stage() as here:
        for number in range(10):
            await call(here, number)
        gc.collect()
        before, threads = Snapshot.take(), threading.active_count()
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(10, CALLS):
            await call(here, number)
        gc.collect()
        assert await leaks_since(before) == []
        assert threading.active_count() <= threads + 4, "the loop's own pool may still have grown a little"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size < MOST_GROWTH
