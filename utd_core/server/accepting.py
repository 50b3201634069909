"""Connections are taken in: many in each turn of the event loop, when many wait.

uvloop takes in one in a turn. In a storm of reconnections a turn takes milliseconds, so whoever comes waits for
seconds, or finds the system's queue full. So with the one that the loop has taken in we look for others, and take them
in, too.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from ..concurrency import Closeable, TaskScope

log = logging.getLogger("utd_core.server")

AT_ONCE = 100
"""Connections that are taken in by one turn."""
MOST_WAITING = 1_024
"""Those that are fetched from the system's queue and not taken in yet, so that it has room for others."""


class Acceptor(Closeable):
    """Takes connections in from a listening socket, which is closed at the end; `make` answers the protocol of one."""

    def __init__(self, listener: socket.socket, make: Callable[[], asyncio.Protocol], backlog: int) -> None:
        self._listener = listener
        self._make = make
        self._backlog = backlog
        self._server: asyncio.Server | None = None
        self._scope = TaskScope("connections")
        self._others: deque[socket.socket] = deque()
        self._found = asyncio.Event()

    async def open(self) -> None:
        """Begin. Raises `Closed` after `aclose`."""
        await self._scope.open()
        self._scope.start(self._take_in_others)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._taken_in, sock=self._listener, backlog=self._backlog)

    async def aclose(self) -> None:
        """Take nobody in any more; those that were taken in stay. Idempotent."""
        if self._server is not None:
            self._server.close()
        self._listener.close()
        await self._scope.aclose()
        for other in self._others:
            other.close()
        self._others.clear()

    def _taken_in(self) -> asyncio.Protocol:
        """The loop has taken somebody in."""
        self._look_for_others()
        return self._make()

    def _look_for_others(self) -> None:
        # Nobody, nearly always. Where there is no room for more, the loop meets that as well, and waits a while.
        with suppress(OSError):
            while len(self._others) < MOST_WAITING:
                self._others.append(self._listener.accept()[0])
        if self._others:
            self._found.set()

    async def _take_in_others(self) -> None:
        while True:
            await self._found.wait()
            # Here, as an event loop's own callback may start no task of a scope.
            for _ in range(min(AT_ONCE, len(self._others))):
                self._scope.start(self._take_in, self._others.popleft())
            if self._others:
                await asyncio.sleep(0)
            else:
                self._found.clear()

    async def _take_in(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._make, connection)
        except BaseException:
            connection.close()
            raise
