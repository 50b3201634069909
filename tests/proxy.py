"""A TCP proxy on loopback that may speak TLS, and whose connections can be cut, or go dead without a word."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Proxy:
    """Forwards to a port of this machine, or to what `far` opens. `tls`: of a server; what is forwarded speaks none.

    `freeze()`: what is connected now stays open and carries nothing more, as behind a router
    that was restarted; new connections work."""

    def __init__(self, far: int | Open, *, tls: ssl.SSLContext | None = None) -> None:
        self._open: Open = (lambda: asyncio.open_connection(LOOPBACK, far)) if isinstance(far, int) else far
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._frozen: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def freeze(self) -> None:
        self._frozen |= self._writers

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        onward_reader, onward = await self._open()
        pair = {writer, onward}
        self._writers |= pair
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, onward))
                group.create_task(self._carry(onward_reader, writer))
            # Closed is not gone: TLS says goodbye, and waits for the other one's, unless it is cut.
            await asyncio.gather(*(writer.wait_closed() for writer in pair), return_exceptions=True)
        finally:
            self._writers -= pair
            self._frozen -= pair

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if writer not in self._frozen:
                    writer.write(data)
                    await writer.drain()
            if writer not in self._frozen:
                writer.close()
