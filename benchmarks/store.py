"""Commits and events per second of the store and the broker, beside raw sqlite3 running the same statements.

A commit is one state of 1.5 KB, its channel's head and two events. On a file it is durable when it returns: the disk
has confirmed it. "64 callers" commit to 64 rooms at once, each waiting for its own; the raw baseline beside it is told
what is to come, and commits 64 at a time in one thread.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from utd_core.broker import LocalBroker
from utd_core.model.seats import SeatTaken
from utd_core.store import Commit, Envelope, StoredState, open_store
from utd_core.store import statements as sql
from utd_core.store.rows import Row, Rows, rows_of
from utd_core.store.sql_store import SqlStore
from utd_core.store.sqlite import Database, compiled, connect_to_file, connect_to_memory

from . import AtLeast, AtMost, Baseline, Result

PAYLOAD = b"x" * 1_500
COMMITS = 3_000
CALLERS = 64
ROUNDS = 3
"""Each figure is the best of these: what the machine can do when it is left alone."""

SUBSCRIBERS = 1_000


def run() -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="utd-bench-") as folder:
        return [*asyncio.run(memory()), *asyncio.run(file(Path(folder))), *asyncio.run(broker())]


async def memory() -> list[Result]:
    open_times, rates, raw_rates, sqlalchemy_rates = [], [], [], []
    for _ in range(ROUNDS):
        began = perf_counter()
        async with open_store() as store:
            open_times.append(perf_counter() - began)
            rates.append(await committed(store, 1, COMMITS))
        database = connect_to_memory()
        raw_rates.append(raw(database, COMMITS, 1))
        database.close()
        sqlalchemy_rates.append(through_sqlalchemy(COMMITS // 4))
    rate = max(rates)
    return [
        Result("open a store in memory", min(open_times) * 1e3, "ms", AtMost(30.0)),
        Result("commit in memory", 1e6 / rate, "µs", AtMost(150.0), Baseline("raw sqlite3", 1e6 / max(raw_rates))),
        Result("commits in memory", rate, "1/s", baseline=Baseline("SQLAlchemy execute()", max(sqlalchemy_rates))),
    ]


async def file(folder: Path) -> list[Result]:
    rates: dict[int, list[float]] = {1: [], CALLERS: []}
    raw_rates: dict[int, list[float]] = {1: [], CALLERS: []}
    for round_ in range(ROUNDS):
        for callers in (1, CALLERS):
            commits = COMMITS if callers > 1 else COMMITS // 4
            async with open_store(folder / f"{round_}-{callers}.db") as store:
                rates[callers].append(await committed(store, callers, commits // callers))
            database = connect_to_file(folder / f"{round_}-{callers}-raw.db")
            raw_rates[callers].append(await asyncio.to_thread(raw, database, commits, callers))
            database.close()
    one, many = max(rates[1]), max(rates[CALLERS])
    return [
        Result("durable commits, 1 caller", one, "1/s", baseline=Baseline("raw sqlite3", max(raw_rates[1]))),
        Result(
            f"durable commits, {CALLERS} callers",
            many,
            "1/s",
            AtLeast(5_000),
            Baseline(f"raw sqlite3, {CALLERS} at a time", max(raw_rates[CALLERS])),
        ),
        Result("the same", many, "1/s", baseline=Baseline("raw sqlite3, one at a time", max(raw_rates[1]))),
    ]


async def broker() -> list[Result]:
    quiet: list[float] = []
    busy: list[float] = []
    async with open_store() as store:
        epoch = (await store.head("room")).epoch
    for _ in range(ROUNDS):
        for subscribers, figures, events in ((0, quiet, 50_000), (SUBSCRIBERS, busy, 500)):
            async with open_store() as store:
                local = LocalBroker(store)
                await local.open()
                for _ in range(subscribers):
                    await local.subscribe("room", capacity=events)
                envelopes = [Envelope("room", epoch, n, "room", "r", 1e9, SEAT_TAKEN) for n in range(1, events + 1)]
                began = perf_counter()
                for envelope in envelopes:
                    local.publish([envelope])
                figures.append(events * max(1, subscribers) / (perf_counter() - began))
                await local.aclose()
    appends = deque_appends()
    return [
        Result("publish, nobody listens", max(quiet), "1/s", baseline=Baseline("deque.append", appends)),
        Result(f"deliveries to {SUBSCRIBERS:,} queues", max(busy), "1/s", baseline=Baseline("deque.append", appends)),
    ]


SEAT_TAKEN = SeatTaken(1, "ann", "ann")


def commits_of(epoch: str, room: str, count: int) -> Iterator[Commit]:
    for n in range(count):
        state = StoredState("room", room, n + 1, PAYLOAD, None, None)
        events = [Envelope(room, epoch, 2 * n + k, "room", room, 1e9, SEAT_TAKEN) for k in (1, 2)]
        yield Commit(states=[(state, n)], events=events)


async def committed(store: SqlStore, callers: int, each: int) -> float:
    """Commits per second."""
    epoch = (await store.head("room")).epoch

    async def caller(room: str) -> None:
        for commit in commits_of(epoch, room, each):
            await store.commit(commit)

    gc.collect()
    began = perf_counter()
    await asyncio.gather(*(caller(f"room-{n}") for n in range(callers)))
    return callers * each / (perf_counter() - began)


def raw(database: Database, commits: int, together: int) -> float:
    """Commits per second of the same statements, with their parameters at hand."""
    connection = database._connection
    rounds = commits // together
    lanes = [[rows_of(commit, "raw") for commit in commits_of("epoch", f"room-{n}", rounds)] for n in range(together)]
    execute, text = connection.execute, {statement: compiled(statement)[0] for statement in STATEMENTS}
    gc.collect()
    began = perf_counter()
    for group in zip(*lanes, strict=True):
        execute("BEGIN IMMEDIATE")
        for statement, parameters in steps(group):
            if len(parameters) > 1:
                connection.executemany(text[statement], parameters)
            else:
                execute(text[statement], parameters[0])
        execute("COMMIT")
    return commits / (perf_counter() - began)


def through_sqlalchemy(commits: int) -> float:
    """Commits per second of the same statements in memory, executed as SQLAlchemy does it."""
    database = connect_to_memory()
    connection = database._connection
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)

    @event.listens_for(engine, "begin")
    def begin(opened: Any) -> None:
        opened.exec_driver_sql("BEGIN IMMEDIATE")

    groups = [[rows_of(commit, "raw")] for commit in commits_of("epoch", "room", commits)]
    gc.collect()
    began = perf_counter()
    with engine.connect() as opened:
        for group in groups:
            with opened.begin():
                for statement, parameters in steps(group):
                    opened.execute(statement, parameters)
    taken = perf_counter() - began
    engine.dispose()
    return commits / taken


STATEMENTS = (sql.INSERT_STATE, sql.UPDATE_STATE, sql.INSERT_CHANNEL, sql.MOVE_CHANNEL, sql.INSERT_EVENT)


def steps(group: Sequence[Rows]) -> Iterator[tuple[Any, list[Row]]]:
    """The statements of some commits, each with all its rows."""
    for rows in group:
        for statement, each in zip(
            STATEMENTS, (rows.new_states, rows.states, rows.new_channels, rows.channels, rows.events), strict=True
        ):
            if each:
                yield statement, each


def deque_appends() -> float:
    from collections import deque

    held: deque[int] = deque(maxlen=1_000)
    began = perf_counter()
    for n in range(1_000_000):
        held.append(n)
    return 1_000_000 / (perf_counter() - began)
