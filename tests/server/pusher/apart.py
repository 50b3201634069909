"""A server in a process of its own, so that what it holds can be measured: `python -m tests.server.pusher.apart`.

The first line of its standard input are settings of the sockets, as JSON. It prints its port; then each line is an
order, answered by a line: `update BYTES` (the room's metadata, which everybody is told), or `memory` (KiB).
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from utd_core.model.commands import UpdateMetadata

from .live import ROOM, LiveServer

PATIENCE = 60.0


class ServerApart:
    """The near side. `async with` starts it; it is killed at the end."""

    def __init__(self, **settings: Any) -> None:
        self.port = 0
        self._settings = settings
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            self.port = await self._order(json.dumps(self._settings))
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def update(self, size: int) -> int:
        """Tell everybody in the room something of so many bytes; which revision that is."""
        return await self._order(f"update {size}")

    async def memory(self) -> int:
        """KiB that it has."""
        return await self._order("memory")

    async def _order(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n".encode())
        answer = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)
        assert answer, "the server has died"
        return int(answer)

    async def _end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


async def serve() -> None:
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    revision = 0
    async with LiveServer(**json.loads(await orders.readline())) as live:
        say(live.port)
        while words := (await orders.readline()).decode().split():
            match words:
                case ["update", size]:
                    metadata = {"x": "y" * int(size)}
                    await live.do("host", UpdateMetadata(room=ROOM, metadata=metadata, revision=revision))
                    revision += 1
                    say(revision)
                case ["memory"]:
                    gc.collect()
                    say(resident())


def say(answer: int) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


def resident() -> int:
    """KiB."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4


if __name__ == "__main__":
    asyncio.run(serve())
