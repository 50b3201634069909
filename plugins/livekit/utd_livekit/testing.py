"""How the contract suite opens the backend: on a server of its own, one for the whole process, on loopback; or on the
one that LIVEKIT_URL names.

utd contract livekit
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import uuid
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import urlsplit

from livekit import api

from utd_core.concurrency import Clock
from utd_core.errors import MediaError, Unsupported
from utd_core.hooks import Harness
from utd_core.media.backend import BackendSpec, JoinTicket
from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import NOTIFICATION_FAULTS, Fault
from utd_core.media.notices import NotificationStream
from utd_core.model.permission import Grant

from .backend import LiveKitBackend
from .capabilities import CAPABILITIES, FAULTS
from .control import LiveKitControl
from .plugin import SPEC
from .sdk import warm_up
from .server.doctor import URL, check_network
from .server.local import LocalServer
from .server.wire import Wire
from .settings import LiveKitSettings

_SETTLED_WITHIN = 30.0
"""Seconds; the first connection of a process loads the native library."""
_UNPACKED_AFTER = 1.0
"""Seconds; some sockets are opened when a connection is there already."""
_LENIENT = 120.0
"""Seconds; LiveKit takes a token up to a minute after its end, because clocks differ."""
_PREFIX = f"utd-contract-{uuid.uuid4().hex[:8]}-"
"""Of every room on a server that others use too."""
_HOME = "home"


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
    return OpenLiveKitElsewhere if os.environ.get(URL) else OpenLiveKit


@cache
def resident() -> Resident:
    """The one of this process."""
    return Resident(None if os.environ.get(URL) else LocalServer())


class Resident:
    """Somebody who is always connected, in a thread of his own, and on a server of his own unless one is named.

    The native library starts its threads with the first connection and ends them some time after the last one, and a
    connection opens more sockets with the first guest. While somebody is there who had one, what a test finds open is
    its own.
    """

    def __init__(self, server: LocalServer | None) -> None:
        self._server = server
        self._failure: Exception | None = None
        self._has_settled = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._staying: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._live, name="livekit:resident", daemon=True)

    def settle_in(self) -> None:
        """Return when he is connected, and nothing more is opened for him. Idempotent. Blocks."""
        if self._thread.ident is None:
            # So he leaves before the library's own end, in which it would not know his room any more.
            warm_up()
            atexit.register(self._move_out)
            if self._server is not None:
                self._server.start()
            self._thread.start()
        if not self._has_settled.wait(_SETTLED_WITHIN) or self._failure is not None:
            network = check_network()
            hint = "" if network.ok else f": {network.detail}; {network.remedy}"
            server = "its own LiveKit server" if self._server is not None else f"the server of {URL}"
            why = "" if self._failure is None else f" ({self._failure})"
            raise MediaError(f"the contract suite could not connect to {server}{why}{hint}") from self._failure

    def _live(self) -> None:
        try:
            asyncio.run(self._stay())
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001  # `settle_in` says it, in the thread that waits
            self._failure = error
            self._has_settled.set()

    @property
    def _settings(self) -> Mapping[str, Any]:
        return {"prefix": _PREFIX} if self._server is None else {**self._server.settings, "webhooks": ""}

    async def _stay(self) -> None:
        self._loop, self._staying = asyncio.get_running_loop(), asyncio.current_task()
        async with LiveKitBackend(self._settings) as backend:
            await backend.control.create_room(_HOME)
            try:
                here, guest = [
                    await backend.connect(await backend.control.issue_join(_HOME, who, grant=Grant()))
                    for who in ("resident", "guest")
                ]
                await asyncio.sleep(_UNPACKED_AFTER)
                await guest.aclose()
                self._has_settled.set()
                async for _ in here.events:
                    pass
            finally:
                await backend.control.close_room(_HOME)

    def _move_out(self) -> None:
        loop, staying = self._loop, self._staying
        if loop is not None and staying is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(staying.cancel)
            self._thread.join(_SETTLED_WITHIN)
        if self._server is not None:
            self._server.stop()


class OpenLiveKit(AbstractAsyncContextManager[LiveKitBackend]):
    """A fresh backend on the shared server, which is started, or started again if a test has killed it."""

    news_delay = 3.0
    """LiveKit collects the news of those who publish nothing; who came and went meanwhile is never told."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._server = shared_server()

    async def __aenter__(self) -> LiveKitBackend:
        await asyncio.to_thread(self._server.start)
        self._wire = Wire(self._server.port)
        self._url = await self._wire.open()
        settings = {**self._server.settings, "public_url": self._url, "server": self._server}
        self._backend = LiveKitBackend(settings, self._clock)
        return self._backend

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._backend.aclose()
        await self._wire.aclose()

    async def expired_ticket(self, room: str, identity: str) -> JoinTicket:
        """A ticket that has run out longer ago than the server is lenient."""
        token = _expired_token(self._server.api_key, self._server.api_secret, room, identity)
        return JoinTicket(self._url, token, self._clock.now() - _LENIENT)


class ControlElsewhere(LiveKitControl):
    """Hears nothing from the server."""

    def notifications(self) -> NotificationStream:
        raise Unsupported("backend 'livekit' hears no notifications from a server that is not ours")


class BackendElsewhere(LiveKitBackend):
    """On a server that is not ours: nobody kills it, and what it tells, it tells to somebody else."""

    capabilities: ClassVar[Capabilities] = replace(CAPABILITIES, notifications=False, webhooks=False)
    faults: ClassVar[frozenset[Fault]] = FAULTS - NOTIFICATION_FAULTS - {Fault.NODE_FAILURE}
    _make_control = ControlElsewhere


class OpenLiveKitElsewhere(AbstractAsyncContextManager[LiveKitBackend]):
    """A fresh backend on the server of LIVEKIT_URL, in rooms whose names begin as no others do."""

    news_delay = OpenLiveKit.news_delay
    spec: ClassVar[BackendSpec] = replace(
        SPEC, capabilities=BackendElsewhere.capabilities, faults=BackendElsewhere.faults
    )

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._server = LiveKitSettings.read({})
        self._wire: Wire | None = None

    async def __aenter__(self) -> LiveKitBackend:
        where = urlsplit(self._server.url)
        self._url = self._server.url
        # What is encrypted goes to the name it is encrypted for.
        if where.scheme in ("ws", "http"):
            self._wire = Wire(where.port or 80, where.hostname or "")
            self._url = await self._wire.open()
        self._backend = BackendElsewhere({"public_url": self._url, "prefix": _PREFIX}, self._clock)
        return self._backend

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._backend.aclose()
        if self._wire is not None:
            await self._wire.aclose()

    async def expired_ticket(self, room: str, identity: str) -> JoinTicket:
        """A ticket that has run out longer ago than the server is lenient."""
        token = _expired_token(self._server.api_key, self._server.api_secret, f"{_PREFIX}{room}", identity)
        return JoinTicket(self._url, token, self._clock.now() - _LENIENT)


def _expired_token(api_key: str, api_secret: str, room: str, identity: str) -> str:
    grants = api.VideoGrants(room_join=True, room=room)
    token = api.AccessToken(api_key, api_secret).with_identity(identity)
    return token.with_grants(grants).with_ttl(timedelta(seconds=-_LENIENT)).to_jwt()
