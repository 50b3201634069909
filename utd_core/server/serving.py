"""A node as a process: where it listens, and how it ends.

SIGTERM or SIGINT drains it:

1. `/ready` says no, for `drain_delay` seconds in which load balancers find out; each answer ends its connection;
2. every socket is told to come back at once (4200), which brings it to another node;
3. nobody is taken in any more, and requests under way are answered;
4. the engine commits what it has decided, webhooks that are due are delivered, and everything is closed; the exit
   status is 0.

Steps 2 to 4 take `drain_timeout` seconds at the most; whatever is left then is cut off, and the status is 1. A second
signal ends the process at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import anyio
import uvicorn

from .accepting import Acceptor
from .app_settings import AppSettings
from .collector import short_pauses
from .connections import limited
from .listening import BACKLOG
from .node import Node
from .pusher import UVICORN_OPTIONS
from .settings import ServerSettings

log = logging.getLogger("utd_core.server")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_WINDOWS = sys.platform == "win32"


async def serve(node: Node, bound: socket.socket, settings: ServerSettings, *, started: Callable[[], None]) -> None:
    """Open the node and serve it until a signal comes; then drain and close it. `started`: requests are taken now.

    Raises what opening a node does.
    """
    stop = asyncio.Event()
    with _signals(stop, settings.drain_delay + settings.drain_timeout):
        async with node, anyio.create_task_group() as group:
            server = _Server(node, settings.http, started)
            group.start_soon(_end, stop, server, node, settings)
            with short_pauses():
                await server.serve(sockets=[bound])
            group.cancel_scope.cancel()


async def _end(stop: asyncio.Event, server: _Server, node: Node, settings: ServerSettings) -> None:
    await stop.wait()
    log.info("ending: no new work is taken, what is under way is finished")
    server.connections.draining = True
    await node.drain()
    # Requests get what the deadline leaves them: webhooks and the closing of the node take a while, too.
    afterwards = 1 + (settings.webhooks.flush_timeout if node.host.has_webhooks else 0)
    server.config.timeout_graceful_shutdown = max(1, int(settings.drain_timeout - afterwards))
    server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn's, but we say when it ends."""

    def __init__(self, node: Node, settings: AppSettings, started: Callable[[], None]) -> None:
        self.connections = limited(settings)
        super().__init__(
            uvicorn.Config(
                node.app,
                lifespan="off",
                log_config=None,
                access_log=False,
                # What proxies say is looked at by the application, which knows whom to believe.
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
                **{**UVICORN_OPTIONS, "http": self.connections},
            )
        )
        self._on_start = started
        self._acceptors: list[Acceptor] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn leaves it to the loop to take connections in.
        ours = [] if _WINDOWS else list(sockets or ())
        await super().startup([each for each in sockets or () if each not in ours])
        for listener in ours:
            acceptor = Acceptor(listener, self._new_connection, BACKLOG)
            self._acceptors.append(acceptor)
            await acceptor.open()
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for acceptor in self._acceptors:
            await acceptor.aclose()
        await super().shutdown(sockets)

    def _new_connection(self) -> asyncio.Protocol:
        config = self.config
        return config.http_protocol_class(  # type: ignore[call-arg]  # uvicorn's type for it has no arguments
            config=config, server_state=self.server_state, app_state=self.lifespan.state
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone: raised again at the end, as uvicorn does it, they would be the exit status."""
        yield


@contextmanager
def _signals(stop: asyncio.Event, patience: float) -> Iterator[None]:
    """The first signal sets `stop`, the second one ends the process; so does, with status 1, the end of patience."""
    loop = asyncio.get_running_loop()
    watchdogs: list[threading.Timer] = []

    def take(number: int, frame: FrameType | None) -> None:
        if watchdogs:
            os._exit(128 + number)
        # A thread: whatever keeps the process from ending may keep the event loop, too.
        watchdog = threading.Timer(patience, _give_up, (patience,))
        watchdog.daemon = True
        watchdog.start()
        watchdogs.append(watchdog)
        loop.call_soon_threadsafe(stop.set)

    before = {number: signal.signal(number, take) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for watchdog in watchdogs:
            watchdog.cancel()


def _give_up(patience: float) -> None:
    log.error("the server did not end within %s s; it ends now, and what was acknowledged is kept", patience)
    logging.shutdown()
    os._exit(1)
