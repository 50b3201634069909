"""What a command costs in the engine, from one caller and from many, in memory and on a disk; and what people cost.

Every figure stands beside a baseline of the same run: the model alone, a bare SQLite transaction, two tasks that
hand a future to each other. Figures are the best of several rounds, so that a busy machine disturbs less.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

from utd_core.engine import Engine
from utd_core.engine.media.presence import Presence
from utd_core.media.backend import JoinTicket
from utd_core.model.command import Actor, Context
from utd_core.model.commands import JoinRoom, LeaveSeat, TakeSeat
from utd_core.model.room import Room, RoomCreated, RoomSettings, apply
from utd_core.model.rules import decide_room
from utd_core.model.stream_type import UTDStreamType

from . import AtLeast, AtMost, Baseline, Result

ROUNDS = 5
CALLERS = 64
TURNS = 40
SINGLE_TURNS = 1_000
AUDIENCE = 100_000
FEW = 10
TYPE = UTDStreamType.AUDIO_ROOM


def run() -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="utd-engine-") as folder:
        return asyncio.run(measure(Path(folder)))


async def measure(folder: Path) -> list[Result]:
    rules = model_alone()
    pair = await future_round_trip()
    one = await one_caller()
    return [
        Result(
            f"commands/s, store in memory, {CALLERS} callers",
            await many_callers(None),
            "1/s",
            AtLeast(10_000),
            Baseline("decide + apply alone", rules),
        ),
        Result(
            f"commands/s, SQLite file, durable, {CALLERS} callers",
            await many_callers(folder / "engine.db"),
            "1/s",
            AtLeast(3_000),
            Baseline("bare INSERT + COMMIT", bare_sqlite(folder / "bare.db")),
        ),
        Result("one caller, one command", one, "ms", AtMost(0.4), Baseline("two tasks, one future", pair)),
        Result("one caller, take + leave, granted and heard", await granted_and_heard(), "ms", AtMost(1.0)),
        *await audience(),
    ]


@asynccontextmanager
async def room_of(store: Path | None, people: int, seats: int = 100) -> AsyncIterator[tuple[Engine, list[Actor]]]:
    """An engine with one room, and people in it."""
    async with Engine("mock", store=store) as engine:
        host = Actor("host")
        await engine.execute(JoinRoom(room="room", type=TYPE, as_host=True, seat_count=seats), actor=host)
        actors = [Actor(f"guest-{number}") for number in range(people)]
        for actor in actors:
            await engine.execute(JoinRoom(room="room", type=TYPE), actor=actor)
        yield engine, actors


async def many_callers(store: Path | None) -> float:
    """Commands in a second; each caller takes its seat and leaves it, and waits for each answer."""
    async with room_of(store, CALLERS) as (engine, actors):

        async def caller(number: int) -> None:
            take, leave, actor = TakeSeat(room="room", index=number), LeaveSeat(room="room"), actors[number]
            for _ in range(TURNS):
                await engine.execute(take, actor=actor)
                await engine.execute(leave, actor=actor)

        async def turn() -> None:
            await asyncio.gather(*map(caller, range(CALLERS)))

        return CALLERS * TURNS * 2 / await best(turn)


async def one_caller() -> float:
    """Milliseconds from a command to its answer."""
    async with room_of(None, 1, seats=8) as (engine, (actor,)):
        return await best(lambda: seat_commands(engine, actor)) / SINGLE_TURNS / 2 * 1000


async def granted_and_heard() -> float:
    """Milliseconds for taking a seat and leaving it; each time until the media connection may, or may not, speak and
    the event has come."""
    async with room_of(None, 1, seats=8) as (engine, (actor,)):
        ticket = await engine.execute(JoinRoom(room="room", type=TYPE), actor=actor)
        connection = await engine.backend.connect(JoinTicket(ticket.url, ticket.token, ticket.expires_at))
        subscription = await engine.subscribe("private-room.room", actor=actor)
        take, leave = TakeSeat(room="room", index=1), LeaveSeat(room="room")

        async def turns() -> None:
            for _ in range(SINGLE_TURNS):
                for command, may_speak in ((take, True), (leave, False)):
                    await engine.execute(command, actor=actor)
                    await subscription.events.get()
                    while connection.grant.can_publish is not may_speak:  # noqa: ASYNC110  # nobody tells
                        await asyncio.sleep(0)

        milliseconds = await best(turns) / SINGLE_TURNS * 1000
        await connection.aclose()
        return milliseconds


async def audience() -> list[Result]:
    """What a hundred thousand listeners change, and cost."""
    few, many = Actor("few"), Actor("many")
    async with room_of(None, FEW, seats=8) as (small, _), room_of(None, 0, seats=8) as (large, _):
        await small.execute(JoinRoom(room="room", type=TYPE), actor=few)
        await large.execute(JoinRoom(room="room", type=TYPE), actor=many)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        fill(large, AUDIENCE)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        gc.collect()
        joined = perf_counter()
        for number in range(1_000):
            await large.execute(JoinRoom(room="room", type=TYPE), actor=Actor(f"late-{number}"))
        joins = 1_000 / (perf_counter() - joined)
        # By turns, so that whatever else the machine does hits both.
        times = [(await timed(small, few), await timed(large, many)) for _ in range(2 * ROUNDS)]
        small_time, large_time = (min(column) for column in zip(*times, strict=True))
        return [
            Result(
                f"a seat command among {AUDIENCE:,}, to one among {FEW}",
                large_time / small_time,
                "x",
                AtMost(1.2),
            ),
            Result(f"joins/s among {AUDIENCE:,}, with ticket", joins, "1/s"),
            Result(
                "one listener in the engine",
                (after - before) / AUDIENCE / 1024,
                "KB",
                AtMost(1.0),
                Baseline("dict of name tuples", dict_of_tuples()),
            ),
        ]


def fill(engine: Engine, count: int) -> None:
    """Put listeners into the room as the engine has them once they are connected; the media server is left out."""
    presence: Presence = engine._machinery.core.presences["room"]  # type: ignore[union-attr]  # it is open
    for number in range(count):
        now = 1_700_000_000.0 + number
        place = presence.enter(f"listener-{number:06d}", "default", f"Listener {number}", now, now + 60)
        presence.connected(place, now)


async def timed(engine: Engine, actor: Actor) -> float:
    started = perf_counter()
    await seat_commands(engine, actor)
    return perf_counter() - started


async def seat_commands(engine: Engine, actor: Actor) -> None:
    take, leave = TakeSeat(room="room", index=1), LeaveSeat(room="room")
    for _ in range(SINGLE_TURNS):
        await engine.execute(take, actor=actor)
        await engine.execute(leave, actor=actor)


def model_alone() -> float:
    """Seat commands in a second, decided and applied, and nothing else."""
    room: Room = apply(None, RoomCreated("room", TYPE, RoomSettings(seat_count=100), "host", {}, "host", 0.0))
    context = Context(Actor("guest"), 0.0, {"guest": ("default",)})
    take, leave = TakeSeat(room="room", index=1), LeaveSeat(room="room")
    figures = []
    for _ in range(ROUNDS):
        started = perf_counter()
        for _ in range(5_000):
            for command in (take, leave):
                for event in decide_room(room, command, context):
                    room = apply(room, event)
        figures.append(10_000 / (perf_counter() - started))
    return max(figures)


def bare_sqlite(path: Path) -> float:
    """Rows in a second, each in a transaction of its own that is on the disk before the next begins."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE events (place INTEGER PRIMARY KEY, payload BLOB)")
    figures = []
    for _ in range(ROUNDS):
        started = perf_counter()
        for _ in range(300):
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO events (payload) VALUES (?)", (b"x" * 1_000,))
            database.execute("COMMIT")
        figures.append(300 / (perf_counter() - started))
    database.close()
    return max(figures)


async def future_round_trip() -> float:
    """Milliseconds in which a task hands a future to another one and gets its result."""
    queue: asyncio.Queue[asyncio.Future[int] | None] = asyncio.Queue()

    async def answer() -> None:
        while (future := await queue.get()) is not None:
            future.set_result(1)

    async def ask() -> None:
        for _ in range(SINGLE_TURNS):
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            queue.put_nowait(future)
            await future

    async with asyncio.TaskGroup() as group:
        group.create_task(answer())
        milliseconds = await best(ask) / SINGLE_TURNS * 1000
        queue.put_nowait(None)
    return milliseconds


def dict_of_tuples() -> float:
    """KB for each person of the least that one could keep: identity, name and device in a dict."""
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    people = {f"listener-{number:06d}": (f"Listener {number}", "default", number + 0.5) for number in range(AUDIENCE)}
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / len(people) / 1024


async def best(turn: Callable[[], Awaitable[None]]) -> float:
    """Seconds of the fastest of several rounds, after one that does not count."""
    await turn()
    seconds = []
    for _ in range(ROUNDS):
        started = perf_counter()
        await turn()
        seconds.append(perf_counter() - started)
    return min(seconds)
