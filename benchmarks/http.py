"""Commands over HTTP with a durable store: how many a second on one core, and how late their answers are.

Server and load are processes of their own, on cores of their own, joined by loopback sockets: uvicorn with uvloop and
httptools there, keep-alive connections here, each of one user who takes a seat and leaves it again. The store is a
SQLite file, or a PostgreSQL that waits for its disk, on the other cores. The baselines are a Starlette and a FastAPI
route that answer the same bytes on the same stack, without credentials, rules or a disk. Answers are late by the time
from when a request was due, be it sent or not, until its answer has come. Servers take turns, in short rounds of which
the best one counts: whatever else the machine does only ever adds to a round.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import httpx
import uvloop

from tests.postgres import PostgresServer

from . import AtLeast, AtMost, Baseline, Result

CONNECTIONS = 64
ROOMS = 8
SECONDS = 3.0
ROUNDS = 4
WARM_UP = 1.0
WANTED = 2_000.0
"""Commands a second that one core has to serve; lateness is looked at under half of that."""
SQLITE, POSTGRES = "SQLite", "PostgreSQL"
SECRET = {"X-App-Id": "bench", "X-App-Secret": "secret"}


def run() -> list[Result]:
    if hasattr(os, "sched_setaffinity"):
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores - {max(cores)} or cores)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run())


async def _run() -> list[Result]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="utd-http-"))
        # As a server that has to keep what it acknowledged.
        postgres = PostgresServer(fsync="on", full_page_writes="on")
        stack.callback(postgres.close)
        postgres.start()
        stores = {"starlette": "", "fastapi": "", SQLITE: str(Path(folder) / "engine.db"), POSTGRES: postgres.url()}
        loads = {name: await stack.enter_async_context(load_on(store or name)) for name, store in stores.items()}
        for load in loads.values():
            await load.at_most(WARM_UP)
        turns = [{name: await load.at_most(SECONDS) for name, load in loads.items()} for _ in range(ROUNDS)]
        late = [{name: await load.at_rate(WANTED / 2, SECONDS) for name, load in loads.items()} for _ in range(ROUNDS)]
    rate = {name: max(turn[name].rate for turn in turns) for name in stores}
    cpu = {name: min(turn[name].cpu for turn in turns) * 1e6 for name in stores}

    def lateness(name: str, share: int) -> float:
        return min(quantile(sorted(each[name]), share) for each in late)

    half = f"{WANTED / 2:,.0f}/s"
    results = []
    for store in (SQLITE, POSTGRES):
        wanted = store == SQLITE
        results += [
            Result(
                f"commands/s on one core, durable on {store}, {CONNECTIONS} connections",
                rate[store],
                "1/s",
                AtLeast(WANTED) if wanted else None,
                Baseline("bare Starlette route", rate["starlette"]),
            ),
            *(
                Result(f"CPU of the server per command, {store}", cpu[store], "µs", None, Baseline(name, cpu[name]))
                for name in ("starlette", "fastapi")
            ),
            *(
                Result(
                    f"lateness at {half}, {store}, p{share}",
                    lateness(store, share),
                    "ms",
                    AtMost(50.0) if wanted and share == 99 else None,
                    Baseline("starlette", lateness("starlette", share)),
                )
                for share in (50, 99)
            ),
        ]
    return results


class Turn(NamedTuple):
    """`rate` in requests a second, `cpu` of the server in seconds per request."""

    rate: float
    cpu: float


def quantile(ordered: list[float], share: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


class Load:
    """Connections to one server."""

    def __init__(self, process: asyncio.subprocess.Process, connections: list[Connection]) -> None:
        self._process = process
        self._connections = connections

    async def at_most(self, seconds: float) -> Turn:
        """As much as the server takes: each connection sends as soon as it was answered."""
        cpu, began = await self._cpu(), perf_counter()
        counts = await asyncio.gather(*(connection.hurry(began + seconds) for connection in self._connections))
        count, seconds = sum(counts), perf_counter() - began
        return Turn(count / seconds, (await self._cpu() - cpu) / count)

    async def at_rate(self, rate: float, seconds: float) -> list[float]:
        """Milliseconds that each answer was late, at so many requests a second."""
        interval = len(self._connections) / rate
        began = perf_counter() + 0.1
        found = await asyncio.gather(
            *(
                connection.keep_time(began + interval * number / len(self._connections), interval, seconds)
                for number, connection in enumerate(self._connections)
            )
        )
        return [late * 1e3 for each in found for late in each]

    async def _cpu(self) -> float:
        """Seconds that the server has used."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return float(await self._process.stdout.readline())


class Connection(asyncio.Protocol):
    """Keeps one socket open, and sends the same few requests over it in turn."""

    def __init__(self, requests: list[bytes]) -> None:
        self._requests: Iterator[bytes] = cycle(requests)
        self._transport: asyncio.WriteTransport
        self._answered: asyncio.Future[None]
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204")):
            self._transport.close()
            self._answered.set_exception(RuntimeError(self._received.decode()))
        elif len(body) >= _length(head):
            self._received = b""
            self._answered.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_exception(error or RuntimeError("the server hung up"))

    async def ask(self) -> None:
        """Send the next request; returns when it was answered."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(next(self._requests))
        await self._answered

    async def hurry(self, end: float) -> int:
        count = 0
        while perf_counter() < end:
            await self.ask()
            count += 1
        return count

    async def keep_time(self, due: float, interval: float, seconds: float) -> list[float]:
        late = []
        for _ in range(round(seconds / interval)):
            await asyncio.sleep(max(0.0, due - perf_counter()))
            await self.ask()
            late.append(perf_counter() - due)
            due += interval
        return late

    def close(self) -> None:
        self._transport.close()


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


@asynccontextmanager
async def load_on(server: str) -> AsyncIterator[Load]:
    """A server (see `_http_server`), and connections to it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks._http_server",
        server,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    people = ["bare"] * CONNECTIONS if server in ("starlette", "fastapi") else await guests(port)
    loop = asyncio.get_running_loop()
    connections = []
    for number, token in enumerate(people):
        made = partial(Connection, seat_requests(number, token))
        _, connection = await loop.create_connection(made, "127.0.0.1", port)
        connections.append(connection)
    try:
        yield Load(process, connections)
    finally:
        for connection in connections:
            connection.close()
        process.stdin.close()
        await process.wait()


async def guests(port: int) -> list[str]:
    """Rooms, and people in them; their tokens."""
    tokens = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", headers=SECRET) as server:
        for number in range(CONNECTIONS):
            body = {"room": room_of(number), "type": "audio_room", "identity": f"guest-{number}", "as_host": True}
            joined = await server.post(
                "/token", json={**body, "seat_count": 16} if number < ROOMS else body | {"as_host": False}
            )
            joined.raise_for_status()
            tokens.append(joined.json()["user_token"])
    return tokens


def seat_requests(number: int, token: str) -> list[bytes]:
    seats = f"/api/v1/rooms/{room_of(number)}/seats"
    return [
        (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        ).encode()
        for path in (f"{seats}/{number // ROOMS}/take", f"{seats}/leave")
    ]


def room_of(number: int) -> str:
    return f"room-{number % ROOMS}"
