"""How the contract suite opens the backend: on a server of its own, one for the whole process, on loopback.

utd contract livekit
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from contextlib import AbstractAsyncContextManager, suppress
from functools import cache
from types import TracebackType

from utd_core.concurrency import Clock
from utd_core.errors import MediaError
from utd_core.hooks import Harness
from utd_core.media.backend import JoinTicket
from utd_core.model.permission import Grant

from .backend import LiveKitBackend
from .faults import LENIENT, expired_ticket
from .sdk import warm_up
from .server.doctor import check_network
from .server.local import LocalServer
from .settings import LiveKitSettings

_SETTLED_WITHIN = 30.0
"""Seconds; the first connection of a process loads the native library."""
_UNPACKED_AFTER = 1.0
"""Seconds; some sockets are opened when a connection is there already."""


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
    return Resident()


class Resident:
    """Somebody who is always connected, on a server and in a thread of his own.

    The native library starts its threads with the first connection and ends them some time after the last one, and a
    connection opens more sockets with the first guest. While somebody is there who had one, what a test finds open is
    its own.
    """

    def __init__(self) -> None:
        self._server = LocalServer()
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
            self._server.start()
            self._thread.start()
        if not self._has_settled.wait(_SETTLED_WITHIN):
            network = check_network()
            hint = "" if network.ok else f": {network.detail}; {network.remedy}"
            raise MediaError(f"the contract suite could not connect to its own LiveKit server{hint}")

    def _live(self) -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._stay())

    async def _stay(self) -> None:
        self._loop, self._staying = asyncio.get_running_loop(), asyncio.current_task()
        async with LiveKitBackend({**self._server.settings, "webhooks": ""}) as backend:
            await backend.control.create_room("home")
            here, guest = [
                await backend.connect(await backend.control.issue_join("home", who, grant=Grant()))
                for who in ("resident", "guest")
            ]
            await asyncio.sleep(_UNPACKED_AFTER)
            await guest.aclose()
            self._has_settled.set()
            async for _ in here.events:
                pass

    def _move_out(self) -> None:
        loop, staying = self._loop, self._staying
        if loop is not None and staying is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(staying.cancel)
            self._thread.join(_SETTLED_WITHIN)
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
        settings = {**self._server.settings, "server": self._server, "faults": True}
        self._settings = LiveKitSettings.read(settings)
        self._backend = LiveKitBackend(settings, self._clock)
        return self._backend

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._backend.aclose()

    async def expired_ticket(self, room: str, identity: str) -> JoinTicket:
        """A ticket that has run out longer ago than the server is lenient."""
        return JoinTicket(self._server.url, expired_ticket(self._settings, room, identity), self._clock.now() - LENIENT)
