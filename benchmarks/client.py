"""What the client costs: into a seat with an open microphone and out of it again, beside the bare commands.

A round trip is take_seat (command, grant on the media connection, published track, running pump) and leave_seat (command,
unpublished track), in an audio room with a host and a listener, on the engine in this process with its store in memory.
The baseline is the same two commands given to the engine by nobody's client, in the same room, taken in turns with it.
"""

from __future__ import annotations

import asyncio
import gc
from statistics import median
from time import perf_counter

from utd_core.client import UTDAudioRoomSession
from utd_core.engine import Engine
from utd_core.model.command import Actor
from utd_core.model.commands import JoinRoom, LeaveSeat, TakeSeat
from utd_core.model.stream_type import UTDStreamType

from . import AtMost, Baseline, Result

ROOM = "benchmark"
ROUNDS = 20
EACH = 50
BARE = Actor("bare")


def run() -> list[Result]:
    return asyncio.run(_run())


async def _run() -> list[Result]:
    async with Engine("mock") as engine, engine.client("host") as host, engine.client("guest") as guest:
        async with (
            await host.join_audio_room(ROOM, as_host=True, seat_count=8),
            await guest.join_audio_room(ROOM) as session,
            engine.client("listener") as listener,
            await listener.join_audio_room(ROOM),
        ):
            await engine.execute(JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM), actor=BARE)
            await _through_the_client(session, EACH)
            await _bare(engine, EACH)
            trips, commands = [], []
            for _ in range(ROUNDS):
                gc.collect()
                trips.append(await _through_the_client(session, EACH))
                commands.append(await _bare(engine, EACH))
            join = await _joins(session, EACH)
    bare = Baseline("the two engine commands", median(commands))
    return [
        Result("take_seat + leave_seat", median(trips), "ms", AtMost(1.0), bare),
        Result("leave + rejoin a room", join, "ms"),
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
        await engine.execute(TakeSeat(room=ROOM, index=2), actor=BARE)
        await engine.execute(LeaveSeat(room=ROOM), actor=BARE)
    return (perf_counter() - begin) / count * 1_000


async def _joins(session: UTDAudioRoomSession, count: int) -> float:
    begin = perf_counter()
    for _ in range(count):
        await session.leave()
        await session.rejoin()
    return (perf_counter() - begin) / count * 1_000
