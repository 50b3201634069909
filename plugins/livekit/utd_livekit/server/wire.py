"""A wire to a server, which can break and hangs up when it is closed.

The native library keeps HTTP connections for later in a pool that nothing else empties. Over a wire of its own, what a
test opened is closed with the test.
"""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import anyio

from utd_core.concurrency import Closeable

_CHUNK = 65_536
_LONGEST_HEAD = 1_048_576
"""Bytes, of which a ticket may take most."""
_TICKET = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+")


class Wire(Closeable):
    """Forwards every HTTP connection to the server at `url`, without TLS, from `open` to `aclose`.

    `spare`: where else to go, in this order, when nobody takes the call there.

    Each way of breaking ends the calls there are, and says what becomes of the next ones.
    """

    def __init__(self, url: str, *spare: str) -> None:
        self._far = [(parts.hostname or "", parts.port or 80) for parts in map(urlsplit, (url, *spare))]
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[Any]] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._refuses = self._is_closed = False
        self._repair: asyncio.TimerHandle | None = None
        self._ticket: bytes | None = None

    @property
    def is_silent(self) -> bool:
        """Whoever calls now hears nothing."""
        return not self._passes.is_set()

    async def open(self) -> str:
        """The URL of its near end."""
        near = socket.create_server(("127.0.0.1", 0))
        port = near.getsockname()[1]
        # Nothing is lost when this is cancelled: it waits only once there is a server to close.
        self._server = await asyncio.start_server(self._carry, sock=near, limit=_LONGEST_HEAD, start_serving=False)
        await self._server.start_serving()
        if self._is_closed:
            self._server.close()
        return f"ws://127.0.0.1:{port}"

    def hold(self, seconds: float | None = None) -> None:
        """Who calls hears nothing for `seconds`, or ever, and is put through then if he is still there."""
        self._break(seconds)
        self._passes.clear()

    def refuse(self, seconds: float) -> None:
        """Who calls within `seconds` is hung up on."""
        self._break(seconds)
        self._refuses = True

    def exchange(self, ticket: str) -> None:
        """Who calls does so with this ticket, whichever he has."""
        self._break(None)
        self._ticket = ticket.encode()

    def hang_up(self) -> None:
        """End every call, and take none any more. Idempotent."""
        self._is_closed = True
        self._break(None)
        if self._server is not None:
            self._server.close()

    async def aclose(self) -> None:
        self.hang_up()
        if self._calls:
            await asyncio.wait(set(self._calls))

    def _break(self, seconds: float | None) -> None:
        if self._repair is not None:
            self._repair.cancel()
        self._mend()
        if seconds is not None:
            self._repair = asyncio.get_running_loop().call_later(seconds, self._mend)
        for call in self._calls:
            call.cancel()

    def _mend(self) -> None:
        self._repair, self._refuses = None, False
        self._passes.set()

    async def _carry(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        try:
            # The end of a call, by either side or by `aclose`, is no news to anybody.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
                await self._put_through(near_in, near_out)
        finally:
            near_out.transport.abort()
            self._calls.discard(call)

    async def _put_through(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        if self._refuses or self._is_closed:
            return
        head = await near_in.readuntil(b"\r\n\r\n")
        await self._passes.wait()
        if near_in.at_eof() or near_out.is_closing():
            return
        if self._ticket is not None:
            head = _TICKET.sub(self._ticket, head)
        far_in, far_out = await self._reach()
        try:
            far_out.write(head)
            async with anyio.create_task_group() as both_ways:
                both_ways.start_soon(_pass_on, near_in, far_out, both_ways.cancel_scope)
                both_ways.start_soon(_pass_on, far_in, near_out, both_ways.cancel_scope)
        finally:
            far_out.transport.abort()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The far end. Raises `OSError` where nobody takes the call."""
        *better, last = self._far
        for far in better:
            with suppress(OSError):
                return await asyncio.open_connection(*far)
        return await asyncio.open_connection(*last)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: anyio.CancelScope) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    call.cancel()
