"""A command given to a node that does not hold the project, beside the same one at the holder; and the cost of a fence.

Two nodes in one process and on one event loop, over a real Redis, on a PostgreSQL that waits for its disk. So the two
share a core, and the rates count the work of both. "A command" takes or leaves a seat, and is committed; "a question"
reads a room, and is answered from memory: it shows the way there and back alone. A forwarded command has a key, which
is kept with its answer, as one that a client may repeat. The fence is measured on the store: the same rows committed
with and without one, in turns.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from statistics import median
from time import perf_counter

from tests.postgres import PostgresServer
from tests.redis import RedisServer
from utd_core.bus.redis import RedisMessages
from utd_core.engine import EngineSettings
from utd_core.model.command import Actor
from utd_core.model.commands import GetRoom, JoinRoom, LeaveSeat, TakeSeat
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.hosting.directory import OneProject
from utd_core.server.hosting.host import Hosting
from utd_core.server.projects import HostedEngine, Project
from utd_core.store.base import Commit, StoredState
from utd_core.store.leases import Fence
from utd_core.store.postgres import PostgresStore
from utd_core.store.sql_store import SqlStore

from . import AtMost, Baseline, Result

PROJECT = Project("bench", "key-of-the-bench", ("secret-of-the-bench",))
SETTINGS = EngineSettings(ticket_ttl=3_600.0, return_grace=3_600.0)
CALLERS = 64
ONE_BY_ONE = 300
AT_ONCE = 3_200
ROUNDS = 5
"""Each figure is the best of these: what the machine can do when it is left alone."""
WANTED = 5.0
"""Milliseconds more that a command may take where it is forwarded, with nothing else to do."""

Operation = Callable[[int], Awaitable[object]]
"""Does it once, for the caller of that number."""


def run() -> list[Result]:
    postgres, redis = PostgresServer(fsync="on", full_page_writes="on"), RedisServer()
    try:
        postgres.start()
        redis.start()
        return asyncio.run(_run(postgres.url(), redis.url))
    finally:
        redis.close()
        postgres.close()


async def _run(postgres: str, redis: str) -> list[Result]:
    async with AsyncExitStack() as stack:
        engines = []
        for _ in range(2):
            store = await stack.enter_async_context(PostgresStore(postgres))
            bus = await stack.enter_async_context(RedisMessages(redis))
            host = Hosting(OneProject(PROJECT), store, settings=SETTINGS, bus=bus)
            await stack.enter_async_context(host)
            hosted = await host.find(PROJECT.app_id)
            assert hosted is not None
            engines.append(hosted.engine)
        results = await _forwarding(engines)
    async with PostgresStore(postgres) as store:
        return results + await _fence(store)


async def _forwarding(engines: Sequence[HostedEngine]) -> list[Result]:
    """`engines`: the holder's, and the other node's."""
    for caller in range(CALLERS):
        join = JoinRoom(room=_room(caller), type=UTDStreamType.AUDIO_ROOM, as_host=True)
        await engines[0].execute(join, actor=_actor(caller))
    operations = {
        "command": [_sitting(engine) for engine in engines],
        "question": [_asking(engine) for engine in engines],
    }
    results: list[Result] = []
    for name, (near, far) in operations.items():
        times, rates = await _in_turns(near, far)
        more = times[1] - times[0]
        results += [
            Result(f"{name} to another node, one by one", times[1], "ms", baseline=Baseline("at the holder", times[0])),
            Result(f"{name}: what forwarding adds", more, "ms", AtMost(WANTED)),
            Result(
                f"{name}s to another node, {CALLERS} callers",
                rates[1],
                "1/s",
                baseline=Baseline("at the holder", rates[0]),
            ),
        ]
    return results


async def _fence(store: SqlStore) -> list[Result]:
    lease = await store.leases().claim("fenced", "bench", 3_600.0)
    async with store.scoped("free") as free, store.scoped("fenced", fence=Fence(lease)) as fenced:
        times, rates = await _in_turns(_committing(free), _committing(fenced))
    return [
        Result("commit under a fence, one by one", times[1], "ms", baseline=Baseline("without", times[0])),
        Result(f"commits under a fence, {CALLERS} callers", rates[1], "1/s", baseline=Baseline("without", rates[0])),
    ]


async def _in_turns(*operations: Operation) -> tuple[list[float], list[float]]:
    """Milliseconds one by one, and times a second by many callers, of each."""
    times: list[list[float]] = [[] for _ in operations]
    rates: list[list[float]] = [[] for _ in operations]
    for _ in range(ROUNDS):
        for operation, its_times, its_rates in zip(operations, times, rates, strict=True):
            gc.collect()
            its_times.append(await _time_of_one(operation))
            its_rates.append(await _per_second(operation))
    return [min(each) for each in times], [max(each) for each in rates]


async def _time_of_one(operation: Operation) -> float:
    """Milliseconds, the median."""
    seconds = []
    for _ in range(ONE_BY_ONE):
        began = perf_counter()
        await operation(0)
        seconds.append(perf_counter() - began)
    return median(seconds) * 1e3


async def _per_second(operation: Operation) -> float:
    async def some(caller: int) -> None:
        for _ in range(AT_ONCE // CALLERS):
            await operation(caller)

    began = perf_counter()
    await asyncio.gather(*map(some, range(CALLERS)))
    return AT_ONCE / (perf_counter() - began)


def _sitting(engine: HostedEngine) -> Operation:
    seated: set[int] = set()

    async def sit_or_stand(caller: int) -> None:
        if caller in seated:
            seated.discard(caller)
            await engine.execute(LeaveSeat(room=_room(caller)), actor=_actor(caller))
        else:
            seated.add(caller)
            await engine.execute(TakeSeat(room=_room(caller), index=0), actor=_actor(caller))

    return sit_or_stand


def _asking(engine: HostedEngine) -> Operation:
    async def ask(caller: int) -> None:
        await engine.execute(GetRoom(room=_room(caller)), actor=_actor(caller))

    return ask


def _committing(store: SqlStore) -> Operation:
    versions: dict[int, count[int]] = {caller: count() for caller in range(CALLERS)}

    async def commit(caller: int) -> None:
        version = next(versions[caller])
        row = StoredState("room", _room(caller), version + 1, b"x" * 200, None, None)
        await store.commit(Commit(states=[(row, version)]))

    return commit


def _room(caller: int) -> str:
    return f"room-{caller}"


def _actor(caller: int) -> Actor:
    return Actor(f"host-{caller}")
