"""How the contract suite opens the backend: on a server of its own, one for the whole process, on loopback.

    utd contract livekit
"""

from __future__ import annotations

import asyncio
import atexit
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import cache
from types import TracebackType

from livekit import api

from utd_core.concurrency import Clock, SystemClock
from utd_core.hooks import Harness
from utd_core.media.backend import JoinTicket, PublishOptions
from utd_core.model.permission import Grant, TrackSource

from .backend import LiveKitBackend
from .server.local import LocalServer
from .server.wire import Wire

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
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _rehearse()).result()
    return OpenLiveKit


async def _rehearse() -> None:
    """Connect once, which opens whatever the native library opens for good."""
    async with OpenLiveKit(SystemClock()) as backend:
        await backend.control.create_room("rehearsal")
        ticket = await backend.control.issue_join("rehearsal", "nobody", grant=Grant(publish=frozenset(TrackSource)))
        async with await backend.connect(ticket) as connection:
            for source in (TrackSource.MICROPHONE, TrackSource.CAMERA):
                await connection.publish(PublishOptions(source))
        await backend.control.close_room("rehearsal")


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
