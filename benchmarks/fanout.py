"""What it costs to hand one event of 200 bytes to many sockets: ours, a bare ASGI loop, python-socketio, other stacks.

Server CPU per delivery is the steady figure on a busy machine; deliveries in a second are not. Two of them: a burst,
in which events follow each other at once, and a pace of one event every 20 ms. Servers are measured by turns,
several times, and the best round counts; each is a process of its own (`_fanout_servers.py`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import quantiles
from time import monotonic
from typing import cast

import uvloop

from utd_core.model.command import Actor

from . import AtMost, Baseline, Result

FEW, MANY, IDLE = 500, 1_000, 2_000
ROUNDS = 6
BURST, PACED, PACE_MS = 50, 50, 20
ONE_BY_ONE = 40
PATIENCE = 60.0

OURS, ASGI, BARE, SOCKETIO = "ours", "ours through ASGI", "websockets-sansio", "python-socketio"
OTHERS = ("wsproto", "websockets", "aiohttp", "picows")


def run() -> list[Result]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return uvloop.run(measure())


async def measure() -> list[Result]:
    return [*await cost(FEW), *await cost(MANY), *await latency(), *await memory(), *await stacks()]


async def cost(sockets: int) -> list[Result]:
    burst, paced = await side_by_side((OURS, ASGI, BARE, SOCKETIO), sockets)
    return [
        line
        for how, figures in (("burst", burst), (f"one every {PACE_MS} ms", paced))
        for line in (
            per_million(f"{how}, {sockets} sockets", figures[OURS], BARE, figures, 1.25),
            per_million(f"{how}, {sockets} sockets", figures[OURS], SOCKETIO, figures, 1 / 3),
            per_million(f"{how}, {sockets} sockets, on any ASGI server", figures[ASGI], BARE, figures, 1.25),
        )
    ]


def per_million(name: str, ours: float, baseline: str, figures: dict[str, float], most: float) -> Result:
    other = figures[baseline]
    return Result(f"CPU s per million, {name}", ours, "s", AtMost(other * most), Baseline(baseline, other))


async def side_by_side(names: Sequence[str], sockets: int) -> tuple[dict[str, float], dict[str, float]]:
    """CPU seconds of a million deliveries, in a burst and paced, by server."""
    burst: dict[str, list[float]] = {name: [] for name in names}
    paced: dict[str, list[float]] = {name: [] for name in names}
    async with AsyncExitStack() as stack:
        crowds = {name: await stack.enter_async_context(crowd(name, sockets)) for name in names}
        for _ in range(ROUNDS):
            for name, people in crowds.items():
                burst[name].append(await people.cpu_of(BURST, f"burst {BURST}"))
                paced[name].append(await people.cpu_of(PACED, f"paced {PACED} {PACE_MS}"))
    return {name: min(each) for name, each in burst.items()}, {name: min(each) for name, each in paced.items()}


async def latency() -> list[Result]:
    async with crowd(OURS, MANY) as people:
        late = [late for _ in range(ONE_BY_ONE) for late in await people.lateness()]
        ours = quantiles(late, n=100)[98] * 1000
    async with crowd(BARE, MANY) as people:
        late = [late for _ in range(ONE_BY_ONE) for late in await people.lateness()]
        bare = quantiles(late, n=100)[98] * 1000
    return [Result(f"an event reaches {MANY} sockets, p99", ours, "ms", AtMost(50), Baseline(BARE, bare))]


async def memory() -> list[Result]:
    figures = {}
    for name in (OURS, BARE, SOCKETIO):
        async with crowd(name, 100) as people:
            before = (await people.order("memory"))["memory"]
            await people.grow(IDLE)
            figures[name] = ((await people.order("memory"))["memory"] - before) / IDLE
    return [
        Result(
            "memory of an idle socket that is signed in and follows a room",
            figures[OURS],
            "KB",
            AtMost(25),
            Baseline(name, kb),
        )
        for name, kb in figures.items()
        if name != OURS
    ]


async def stacks() -> list[Result]:
    """The comparison that uvicorn's websockets-sansio was chosen by."""
    burst, paced = await side_by_side((BARE, *OTHERS), FEW)
    return [
        Result(
            f"CPU s per million, {how}, bare loop on {name}", figures[name], "s", None, Baseline(BARE, figures[BARE])
        )
        for how, figures in (("burst", burst), (f"one every {PACE_MS} ms", paced))
        for name in OTHERS
    ]


class Listener(asyncio.Protocol):
    """One socket. Greets the server in its language, then counts messages; `heard_at` is when the last ones came."""

    def __init__(self, path: str, greet: Callable[[Listener, bytes], bool]) -> None:
        self.messages = 0
        self.heard_at = 0.0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self._path = path
        self._greet = greet
        self._upgraded = False
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self.ready.done():
            self.heard_at = monotonic()
            self._count(self._held + data if self._held else data)
            return
        if not self._upgraded:
            self._upgraded = True
            _, _, data = data.partition(b"\r\n\r\n")
        if self._greet(self, data):
            self.ready.set_result(None)

    def _count(self, data: bytes) -> None:
        begin, end = 0, len(data)
        while begin + 4 <= end:
            size = data[begin + 1]
            whole = size + 2 if size < 126 else int.from_bytes(data[begin + 2 : begin + 4], "big") + 4
            if begin + whole > end:
                break
            begin += whole
            self.messages += 1
        self._held = data[begin:]

    def say(self, text: str) -> None:
        payload = text.encode()
        size = len(payload)
        head = bytes((0x81, 0x80 | size)) if size < 126 else struct.pack("!BBH", 0x81, 0x80 | 126, size)
        self.transport.write(head + bytes(4) + payload)


def greet_nobody(listener: Listener, data: bytes) -> bool:
    return True


def greet_socketio(listener: Listener, data: bytes) -> bool:
    if b"0{" in data and b"40{" not in data:
        listener.say("40")
    return b"40{" in data


def greet_us(listener: Listener, data: bytes) -> bool:
    """Sign in as somebody who is in the room, and follow it."""
    from utd_core.server.projects import Project
    from utd_core.server.pusher.identities import user_data
    from utd_core.server.pusher.signatures import credential, user_text

    from ._fanout_servers import CHANNEL

    if b"connection_established" in data:
        socket_id = json.loads(json.loads(data[data.index(b"{") :])["data"])["socket_id"]
        who = user_data(Actor("ann"))
        auth = credential(Project("app", "key", ("secret",)), user_text(socket_id, who))
        listener.say(json.dumps({"event": "pusher:signin", "data": {"auth": auth, "user_data": who}}))
        listener.say(json.dumps({"event": "pusher:subscribe", "data": {"channel": CHANNEL}}))
    return b"subscription_succeeded" in data


GREETINGS = {
    OURS: ("/app/key?protocol=7", greet_us),
    ASGI: ("/app/key?protocol=7", greet_us),
    SOCKETIO: ("/socket.io/?EIO=4&transport=websocket", greet_socketio),
}


class Crowd:
    """A server in its process, and sockets that listen to it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, port: int) -> None:
        self.listeners: list[Listener] = []
        self._name = name
        self._process = process
        self._port = port
        self._path, self._greet = GREETINGS.get(name, ("/", greet_nobody))

    async def grow(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, listener = await loop.create_connection(
                lambda: Listener(self._path, self._greet), "127.0.0.1", self._port
            )
            await asyncio.wait_for(listener.ready, PATIENCE)
            self.listeners.append(listener)

    async def order(self, line: str) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n".encode())
        answer: dict[str, float] = json.loads(await asyncio.wait_for(self._process.stdout.readline(), PATIENCE))
        return answer

    async def cpu_of(self, events: int, line: str) -> float:
        """CPU seconds of the server for a million deliveries, all of which have arrived."""
        expected = [listener.messages + events for listener in self.listeners]
        cpu = (await self.order(line))["cpu"]
        await self._arrived(expected)
        return cpu / (events * len(self.listeners)) * 1e6

    async def lateness(self) -> list[float]:
        """Seconds from publishing one event to each socket."""
        expected = [listener.messages + 1 for listener in self.listeners]
        at = (await self.order("once"))["at"]
        await self._arrived(expected)
        return [listener.heard_at - at for listener in self.listeners]

    async def _arrived(self, expected: Sequence[int]) -> None:
        deadline = monotonic() + PATIENCE
        for listener, count in zip(self.listeners, expected, strict=True):
            while listener.messages < count:
                if monotonic() > deadline:
                    raise TimeoutError(f"{listener.messages} of {count} messages have arrived from {self._name}")
                await asyncio.sleep(0.002)


@asynccontextmanager
async def crowd(name: str, sockets: int) -> AsyncIterator[Crowd]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks._fanout_servers",
        name,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        port = json.loads(await asyncio.wait_for(process.stdout.readline(), PATIENCE))["port"]
        people = Crowd(name, process, port)
        await people.grow(sockets)
        # The first events are the server's to find its memory.
        await people.cpu_of(10, "burst 10")
        yield people
    finally:
        process.kill()
        await process.wait()
