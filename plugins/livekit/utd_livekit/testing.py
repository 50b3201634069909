"""How the contract suite opens the backend: on a server of its own, one for the whole process, on loopback.

    utd contract livekit
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from functools import cache
from types import TracebackType

from livekit import api

from utd_core.concurrency import Clock
from utd_core.errors import MediaError
from utd_core.hooks import Harness
from utd_core.media.backend import JoinTicket
from utd_core.model.permission import Grant

from .backend import LiveKitBackend
from .server.local import LocalServer
from .server.wire import Wire

_SETTLED_WITHIN = 30.0
"""Seconds; the first connection of a process loads the native library."""
_LOOK_EVERY = 0.1
_LENIENT = 120.0
"""Seconds; LiveKit takes a token up to a minute after its end, because clocks differ."""


@cache
def shared_server() -> LocalServer:
    """The server that everything in this process shares. Nobody has started it yet; it is stopped at exit."""
    server = LocalServer()
    atexit.register(server.stop)
    return server


def contract_harness() -> Harness:
    """What `utd_contract_harness` answers. Native threads and descriptors that stay are there from here on."""
    # A log record of a native thread would make Python count that thread as one of its own.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    resident().settle_in()
    return OpenLiveKit


@cache
def resident() -> Resident:
    """The one of this process."""
    return Resident(shared_server())


class Resident:
    """Somebody who is always connected, in a room and a thread of his own.

    The native library starts its threads with the first connection, ends them some time after the last one, and opens
    descriptors for them. While somebody is there, what a test finds open is its own.
    """

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._is_there = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._staying: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._live, name="livekit:resident", daemon=True)

    def settle_in(self) -> None:
        """Return when he is connected. Idempotent. Blocks."""
        if self._thread.ident is None:
            self._server.start()
            self._thread.start()
            atexit.register(self._move_out)
        if not self._is_there.wait(_SETTLED_WITHIN):
            raise MediaError("the contract suite could not connect to its own LiveKit server")

    def _live(self) -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._stay())

    async def _stay(self) -> None:
        self._loop, self._staying = asyncio.get_running_loop(), asyncio.current_task()
        async with LiveKitBackend({**self._server.settings, "webhooks": ""}) as backend:
            while True:
                while self._server.pid is None:
                    await asyncio.sleep(_LOOK_EVERY)
                # A test may kill the server at any moment.
                with suppress(MediaError):
                    await backend.control.create_room("resident")
                    ticket = await backend.control.issue_join("resident", "resident", grant=Grant())
                    # Before the one before is given up.
                    here = await backend.connect(ticket)
                    self._is_there.set()
                    async for _ in here.events:
                        pass
                await asyncio.sleep(_LOOK_EVERY)

    def _move_out(self) -> None:
        loop, staying = self._loop, self._staying
        if loop is not None and staying is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(staying.cancel)
            self._thread.join(_SETTLED_WITHIN)


class OpenLiveKit(AbstractAsyncContextManager[LiveKitBackend]):
    """A fresh backend on the shared server, which is started, or started again if a test has killed it."""

    news_delay = 3.0
    """LiveKit tells every so often who of those that publish nothing came and went; who came and went meanwhile, never."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._server = shared_server()

    async def __aenter__(self) -> LiveKitBackend:
        await asyncio.to_thread(self._server.start)
        self._wire = Wire(self._server.port)
        settings = {**self._server.settings, "public_url": await self._wire.open(), "server": self._server}
        self._backend = LiveKitBackend(settings, self._clock)
        return self._backend

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._backend.aclose()
        await self._wire.aclose()

    async def expired_ticket(self, room: str, identity: str) -> JoinTicket:
        """A ticket that has run out longer ago than the server is lenient."""
        grants = api.VideoGrants(room_join=True, room=room)
        token = api.AccessToken(self._server.api_key, self._server.api_secret).with_identity(identity)
        token = token.with_grants(grants).with_ttl(timedelta(seconds=-_LENIENT))
        return JoinTicket(self._server.url, token.to_jwt(), self._clock.now() - _LENIENT)
