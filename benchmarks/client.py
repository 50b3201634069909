"""What the client costs: into a seat with an open microphone and out of it again, beside the bare commands.

A round trip is take_seat (command, grant on the media connection, published track, running pump) and leave_seat
(command, closed track), on the engine in this process with its store in memory. The baseline is the same two commands
given to the engine without a client, in a room like the client's, taken in turns with it. With listeners, what they see
and hear of it happens in this process too, and is counted. Figures are the best of many short rounds, as in the other
benchmarks; the median tells how busy the machine was.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack
from statistics import median
from time import perf_counter

from utd_core.client import UTDAudioRoomSession
from utd_core.engine import Engine
from utd_core.model.command import Actor
from utd_core.model.commands import JoinRoom, LeaveSeat, TakeSeat
from utd_core.model.stream_type import UTDStreamType

from . import AtMost, Baseline, Result

ROUNDS = 50
EACH = 20
LISTENERS = 10
BARE = Actor("bare")


def run() -> list[Result]:
    return asyncio.run(_run())


async def _run() -> list[Result]:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(Engine("mock"))
        await engine.execute(JoinRoom(room="bare", type=UTDStreamType.AUDIO_ROOM, as_host=True), actor=BARE)
        alone = await stack.enter_async_context(await engine.client("alone").join_audio_room("alone", as_host=True))
        heard = await stack.enter_async_context(await engine.client("heard").join_audio_room("heard", as_host=True))
        for number in range(LISTENERS):
            joining = engine.client(f"listener-{number}").join_audio_room("heard")
            await stack.enter_async_context(await joining)
        trips, heard_trips, commands = [], [], []
        for _ in range(1 + ROUNDS):
            gc.collect()
            trips.append(await _through_the_client(alone, EACH))
            heard_trips.append(await _through_the_client(heard, EACH))
            commands.append(await _bare(engine, EACH))
        joins = [await _joins(alone, EACH) for _ in range(5)]
    # The first round is the warm-up.
    bare = Baseline("the two engine commands", min(commands[1:]))
    usually = Baseline("the two engine commands", median(commands[1:]))
    return [
        Result("take_seat + leave_seat", min(trips[1:]), "ms", AtMost(1.0), bare),
        Result("the same, median of all rounds", median(trips[1:]), "ms", None, usually),
        Result(f"the same with {LISTENERS} listeners in this process", min(heard_trips[1:]), "ms", None, bare),
        Result("leave + rejoin a room", min(joins), "ms"),
    ]


async def _through_the_client(session: UTDAudioRoomSession, count: int) -> float:
    begin = perf_counter()
    for _ in range(count):
        await session.take_seat(1)
        await session.leave_seat()
    return (perf_counter() - begin) / count * 1_000


async def _bare(engine: Engine, count: int) -> float:
    begin = perf_counter()
    for _ in range(count):
        await engine.execute(TakeSeat(room="bare", index=2), actor=BARE)
        await engine.execute(LeaveSeat(room="bare"), actor=BARE)
    return (perf_counter() - begin) / count * 1_000


async def _joins(session: UTDAudioRoomSession, count: int) -> float:
    begin = perf_counter()
    for _ in range(count):
        await session.leave()
        await session.rejoin()
    return (perf_counter() - begin) / count * 1_000
