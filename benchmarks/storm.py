"""A reconnect storm: every socket is lost at once, and all come back at once, each from where it was.

The server is `utd serve` with a store in a file, a process of its own; the people are sockets of four others
(`_storm_people.py`), each signed in with a user token and following one room. Things happen in the room meanwhile, half
of them before anybody is back. All the time somebody asks for `/health`, over a connection that stays and over a new
one each time; the new ones stand in line behind those of the storm.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Self

import anyio
import httpx

from . import AtLeast, AtMost, Baseline, Result

SOCKETS = 5_000
PEOPLE = 50
PROCESSES = 4
MISSED = 20
ROOM = "lounge"
CHANNEL = f"private-room.{ROOM}"
PATIENCE = 120.0
KEY, SECRET = "key-of-the-storm", "secret-of-the-storm"
SECRET_HEADERS = {"X-App-Id": "storm", "X-App-Secret": SECRET}


def run() -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="utd-storm-") as folder:
        found = asyncio.run(storm(Path(folder), SOCKETS))
    return [
        Result(f"sockets that are back and have missed nothing, of {SOCKETS:,}", found.whole, "", AtLeast(SOCKETS)),
        Result("until the last one has heard everything", found.seconds, "s"),
        Result("CPU of the server for each", found.cpu / SOCKETS * 1e3, "ms"),
        Result(f"slowest /health of {len(found.health)}", max(found.health), "s", AtMost(1.0)),
        Result(f"slowest /health of {len(found.health_anew)}, new connections", max(found.health_anew), "s"),
        Result(
            "memory of the server at most",
            found.peak / 1024,
            "MB",
            AtMost(found.before / 1024 * 1.25),
            Baseline("before", found.before / 1024),
        ),
    ]


@dataclass
class Storm:
    """What was seen. `whole`: sockets that recovered and heard every event once; `honest`: those that were told that
    they missed something. `seconds`: from the loss to when the last one had heard everything; `health`, `health_anew`:
    seconds of each look at /health meanwhile, over one connection and over a new one each. `before`, `peak`: resident
    memory of the server in KiB, with everybody there before the storm, and at most afterwards. `cpu`: seconds of the
    server for the storm."""

    whole: int = 0
    honest: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    before: int = 0
    peak: int = 0
    health: list[float] = field(default_factory=list)
    health_anew: list[float] = field(default_factory=list)


async def storm(folder: Path, sockets: int) -> Storm:
    """Let one blow. Raises `AssertionError` where somebody is left out, or hears something twice or not at all."""
    _let_open_many_files()
    found = Storm()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server(folder / "storm.db"))
        room = await stack.enter_async_context(Room(server.port))
        tokens = [room.tokens[number % PEOPLE] for number in range(sockets)]
        crowds = [
            await stack.enter_async_context(crowd(server.port, tokens[begin::PROCESSES])) for begin in range(PROCESSES)
        ]
        await order(crowds, "come")
        await room.move(1)
        await order(crowds, f"hear {room.offset}")
        found.before = server.memory()
        async with anyio.create_task_group() as watching:
            watching.start_soon(look, server, found)
            watching.start_soon(look_anew, server, found)
            cpu, began = server.cpu(), monotonic()
            await order(crowds, "drop")
            await room.move(MISSED // 2)
            await asyncio.gather(order(crowds, "come"), room.move(MISSED // 2))
            people = await order(crowds, f"hear {room.offset}")
            found.seconds, found.cpu = monotonic() - began, server.cpu() - cpu
            watching.cancel_scope.cancel()
    total = {name: sum(each[name] for each in people) for name in people[0]}
    assert total["there"] == sockets, f"{sockets - total['there']} of {sockets} did not come back"
    assert not total["holes"], f"{total['holes']} events were left out, and nobody was told"
    assert not total["again"], f"{total['again']} events came twice"
    found.whole, found.honest = total["recovered"], total["not_recovered"]
    return found


class Server:
    """`utd serve`, from when it is healthy on; killed at the end."""

    def __init__(self, store: Path) -> None:
        self.port = free_port()
        self._store = store
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        project = {"app_id": "storm", "key": KEY, "secrets": [SECRET]}
        settings = {
            "port": self.port,
            "store": self._store,
            "project": json.dumps(project),
            "log_level": "error",
            "sockets.connections_per_address": 1_000_000,
            # Nobody connects to the media server, and nobody is given up for that.
            "engine.ticket_ttl": 3_600,
        }
        self._process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("utd")),
            "serve",
            *(part for name, value in settings.items() for part in ("--set", f"{name}={value}")),
            cwd=self._store.parent,
        )
        try:
            deadline = monotonic() + PATIENCE
            while not await is_healthy(self.port):
                assert self._process.returncode is None, "the server ended"
                assert monotonic() < deadline, "the server does not start"
                await asyncio.sleep(0.02)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def memory(self) -> int:
        """KiB that it has."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1]) * 4

    def cpu(self) -> float:
        """Seconds that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Room:
    """A room with people in it, one of them its host. `offset`: the newest event of its channel."""

    def __init__(self, port: int) -> None:
        self.tokens: list[str] = []
        self.offset = 0
        self._locked = False
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=PATIENCE)

    async def __aenter__(self) -> Self:
        for number in range(PEOPLE):
            body = {"room": ROOM, "type": "audio_room", "identity": f"person-{number}", "as_host": number == 0}
            answer = await self._http.post("/token", json=body, headers=SECRET_HEADERS)
            answer.raise_for_status()
            self.tokens.append(answer.json()["user_token"])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def move(self, times: int) -> None:
        """Make something happen, one event each."""
        for _ in range(times):
            turn = "unlock" if self._locked else "lock"
            self._locked = not self._locked
            answer = await self._http.post(f"/rooms/{ROOM}/seats/3/{turn}", headers=SECRET_HEADERS)
            answer.raise_for_status()
            self.offset = int(answer.headers["x-utd-place"].rpartition("/")[2])


@asynccontextmanager
async def crowd(port: int, tokens: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process with a socket for each token; they have not come yet."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks._storm_people",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        _tell(process, json.dumps({"port": port, "key": KEY, "channel": CHANNEL, "tokens": tokens}))
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def order(crowds: Sequence[asyncio.subprocess.Process], line: str) -> list[dict[str, int]]:
    """Have all carry out an order; what each of them then says of its people."""
    for process in crowds:
        _tell(process, line)
    return list(await asyncio.gather(*map(_answer, crowds)))


def _tell(process: asyncio.subprocess.Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())


async def _answer(process: asyncio.subprocess.Process) -> dict[str, int]:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    assert line, "people of the storm have died"
    answer: dict[str, int] = json.loads(line)
    return answer


async def look(server: Server, found: Storm) -> None:
    """Ask how the server is, again and again over the same connection; it may not keep anybody waiting."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=PATIENCE) as http:
        while True:
            began = monotonic()
            (await http.get("/health")).raise_for_status()
            found.health.append(monotonic() - began)
            found.peak = max(found.peak, server.memory())
            await asyncio.sleep(0.02)


async def look_anew(server: Server, found: Storm) -> None:
    """The same over a new connection each time."""
    while True:
        began = monotonic()
        assert await is_healthy(server.port)
        found.health_anew.append(monotonic() - began)
        await asyncio.sleep(0.05)


async def is_healthy(port: int) -> bool:
    """Whether somebody who comes anew is answered."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return (await asyncio.wait_for(reader.read(), PATIENCE)).startswith(b"HTTP/1.1 200")
        finally:
            writer.close()
    except OSError:
        return False


def free_port() -> int:
    """One that the system gives nobody by itself: whoever connects to such a port before the server is there may get it
    for his own side, and talks to himself."""
    for port in random.sample(range(20_000, 30_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no port is free")


def _let_open_many_files() -> None:
    """For this process and those that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
