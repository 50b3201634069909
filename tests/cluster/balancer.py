"""What stands before the nodes: one address for all clients, and connections only for nodes that are ready.

It asks each node's `/ready` several times a second. One that says no gets nothing new, and requests are taken from it;
its sockets are its own affair. From one that cannot be reached everything is taken.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from typing import Self
from urllib.parse import urlsplit

import anyio
import httpx

_PAUSE = 0.25
_PATIENCE = 1.0
"""Seconds that a node may take to say that it is ready, or to take a connection."""
_STRIKES = 3
_CHUNK = 65_536


class Balancer:
    """Carries bytes from `url` to `nodes()`, in turn, inside `async with`. `said`: how each of them answered when it
    was asked last whether it is ready (0: not at all)."""

    def __init__(self, nodes: Callable[[], Sequence[str]]) -> None:
        self.url = ""
        self.said: dict[str, int] = {}
        self._nodes = nodes
        self._ready: list[str] = []
        self._strikes: Counter[str] = Counter()
        self._turns = count()
        self._carried: dict[asyncio.Task[None], _Carried] = {}
        self._server: asyncio.Server | None = None
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *exit: object) -> None:
        assert self._server is not None
        assert self._looking is not None
        self._server.close()
        tasks = [self._looking, *self._carried]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        async with httpx.AsyncClient(timeout=_PATIENCE) as http:
            while True:
                nodes = list(self._nodes())
                await asyncio.gather(*(self._look_at(node, http) for node in nodes))
                self.said = {node: self.said[node] for node in nodes}
                self._ready = [node for node in nodes if not self._strikes[node]]
                await asyncio.sleep(_PAUSE)

    async def _look_at(self, node: str, http: httpx.AsyncClient) -> None:
        try:
            status = (await http.get(f"{node}/ready")).status_code
        except (httpx.HTTPError, OSError):
            status = 0
        self.said[node] = status
        self._strikes[node] = 0 if status == 200 else self._strikes[node] + 1
        if self._strikes[node] >= _STRIKES:
            for task, carried in self._carried.items():
                if carried.node == node and (not status or not carried.is_socket):
                    task.cancel()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        carried = self._carried[task] = _Carried()
        try:
            first = await reader.read(_CHUNK)
            carried.is_socket = first.startswith(b"GET /app/")
            there, back = await self._reach(carried)
            try:
                back.write(first)
                async with anyio.create_task_group() as both:
                    both.start_soon(_pump, reader, back, both.cancel_scope)
                    both.start_soon(_pump, there, writer, both.cancel_scope)
            finally:
                back.transport.abort()
        except (OSError, TimeoutError, asyncio.CancelledError):
            return  # one of the two is gone, so the other one is told
        finally:
            del self._carried[task]
            writer.transport.abort()

    async def _reach(self, carried: _Carried) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the next node that takes one. Raises `OSError` where none does."""
        ready = list(self._ready)
        for _ in ready:
            node = ready[next(self._turns) % len(ready)]
            address = urlsplit(node)
            try:
                async with asyncio.timeout(_PATIENCE):
                    connection = await asyncio.open_connection(address.hostname, address.port)
            except (OSError, TimeoutError):
                continue
            carried.node = node
            return connection
        raise ConnectionRefusedError("no node is ready")


class _Carried:
    """A connection that is carried. `is_socket`: a WebSocket, as its first bytes say."""

    node = ""
    is_socket = False


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, life: anyio.CancelScope) -> None:
    """Carry one direction; where it ends, both do."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # it hung up less politely
    life.cancel()
