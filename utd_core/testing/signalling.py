"""Signalling over TCP on loopback: for tests in which the two halves of a backend are in two processes.

A message is its length (4 bytes, big endian) and its bytes. A connection that broke is made again; both ends are told.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

from ..concurrency import BoundedQueue, Closeable, Overflow, SystemClock, TaskScope
from ..errors import Closed, ConnectFailed, TooLarge
from ..media.signalling import (
    MAX_SIGNAL_BYTES,
    Signal,
    Signalling,
    SignallingDesk,
    SignallingLost,
    SignallingRestored,
)

HOST = "127.0.0.1"
_CAPACITY = 1_000
_PAUSE = 0.05
"""Seconds between two attempts to connect again."""


class SignallingServer(Closeable):
    """Carries messages between a control half in this process and connection halves elsewhere. `port` once opened."""

    def __init__(self, desk: SignallingDesk) -> None:
        self.port = 0
        self._desk = desk
        self._server: asyncio.Server | None = None
        self._scope = TaskScope("signalling server")

    async def __aenter__(self) -> Self:
        await self._scope.open()
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def aclose(self) -> None:
        """Hang up on everybody. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._scope.aclose()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A coroutine, though it waits for nothing: a scope takes tasks only from tasks.
        try:
            self._scope.start(self._serve, reader, writer)
        except Closed:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = self._desk.open_line(lambda message: _send(writer, message), writer.close, writer.close)
        try:
            while True:
                line.receive(await _receive(reader))
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            line.lose()
            writer.close()


class TcpSignalling(Signalling):
    """The connection half's end. Raises `ConnectFailed` where nobody listens."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._port = port
        self._reader, self._writer = reader, writer
        self._incoming: BoundedQueue[Signal] = BoundedQueue(_CAPACITY, Overflow.CLOSE)
        self._scope = TaskScope("signalling")
        self._clock = SystemClock()
        self._may_connect = asyncio.Event()
        self._may_connect.set()

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect to a `SignallingServer`."""
        try:
            signalling = cls(port, *await asyncio.open_connection(HOST, port))
        except OSError as error:
            raise ConnectFailed(f"no signalling server answers at {HOST}:{port}: {error}") from None
        try:
            await signalling._scope.open()
            signalling._scope.start(signalling._carry)
        except BaseException:
            await signalling.aclose()
            raise
        return signalling

    @property
    def incoming(self) -> BoundedQueue[Signal]:
        return self._incoming

    async def send(self, message: bytes) -> None:
        if self._incoming.closed:
            raise Closed("this signalling was closed")
        if len(message) > MAX_SIGNAL_BYTES:
            raise TooLarge(f"a signalling message holds at most {MAX_SIGNAL_BYTES} bytes, got {len(message)}")
        _send(self._writer, message)
        with suppress(OSError):
            await self._writer.drain()

    async def aclose(self) -> None:
        self._incoming.close()
        # It may be connecting again at this moment.
        await self._scope.aclose()
        self._writer.close()

    def cut(self) -> None:
        """Break the connection, as a network does; it is made again."""
        self._writer.transport.abort()

    def interrupt(self) -> None:
        """Break the connection until `restore`."""
        self._may_connect.clear()
        self.cut()

    def restore(self) -> None:
        """Let it be made again."""
        self._may_connect.set()

    async def _carry(self) -> None:
        while not self._incoming.closed:
            try:
                self._incoming.put(await _receive(self._reader))
            except (OSError, asyncio.IncompleteReadError):
                self._writer.close()
                self._incoming.put(SignallingLost())
                await self._again()

    async def _again(self) -> None:
        while not self._incoming.closed:
            await self._may_connect.wait()
            with suppress(OSError):
                self._reader, self._writer = await asyncio.open_connection(HOST, self._port)
                self._incoming.put(SignallingRestored())
                return
            await self._clock.sleep(_PAUSE)


def _send(writer: asyncio.StreamWriter, message: bytes) -> None:
    if not writer.is_closing():
        writer.write(len(message).to_bytes(4) + message)


async def _receive(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(4))
    if size > MAX_SIGNAL_BYTES:
        raise ConnectionAbortedError(f"a message of {size} bytes")
    return await reader.readexactly(size)
