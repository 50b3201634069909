"""A wire to a server that hangs up when it is closed.

The native library keeps HTTP connections for later in a pool that nothing else empties. Over a wire of its own, what a
test opened is closed with the test.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import anyio

from utd_core.concurrency import Closeable

_CHUNK = 65_536


class Wire(Closeable):
    """Forwards every connection to a port, of loopback unless `host` says otherwise, from `open` to `aclose`."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._port = port
        self._host = host
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[Any]] = set()

    async def open(self) -> str:
        """The URL of its near end."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(set(self._calls))

    async def _carry(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        try:
            # The end of a call, by either side or by `aclose`, is no news to anybody.
            with suppress(OSError, asyncio.CancelledError):
                far_in, far_out = await asyncio.open_connection(self._host, self._port)
                try:
                    async with anyio.create_task_group() as both_ways:
                        both_ways.start_soon(_pass_on, near_in, far_out, both_ways.cancel_scope)
                        both_ways.start_soon(_pass_on, far_in, near_out, both_ways.cancel_scope)
                finally:
                    far_out.transport.abort()
        finally:
            near_out.transport.abort()
            self._calls.discard(call)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: anyio.CancelScope) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    call.cancel()
