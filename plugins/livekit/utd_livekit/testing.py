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
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from utd_core.errors import MediaError, UTDStreamException
from utd_core.hooks import Harness
from utd_core.media.backend import JoinTicket
from utd_core.model.permission import Grant

from .backend import LiveKitBackend
from .elsewhere import PREFIX, harness_elsewhere
from .opening import Opening
from .sdk import warm_up
from .server.doctor import URL, check_network
from .server.local import LocalServer
from .settings import LiveKitSettings

_SETTLED_WITHIN = 30.0
"""Seconds; the first connection of a process loads the native library."""
_UNPACKED_AFTER = 1.0
"""Seconds; some sockets are opened when a connection is there already."""
_KEPT = 90.0
"""Seconds for which the native library keeps a connection that is not used."""
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
    return harness_elsewhere() if os.environ.get(URL) else OpenLiveKit


@cache
def resident() -> Resident:
    """The one of this process."""
    return Resident(None if os.environ.get(URL) else LocalServer())


class Resident:
    """Somebody who is always connected, in a thread of his own, and on a server of his own unless one is named.

    The native library starts its threads with the first connection and ends them some time after the last one, and a
    connection opens more sockets with the first guest. While somebody is there who had one, what a test finds open is
    its own. So it is where he has been refused too: over TLS the library keeps the connection by which it asks why.
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
        return {"prefix": PREFIX} if self._server is None else {**self._server.settings, "webhooks": ""}

    async def _stay(self) -> None:
        self._loop, self._staying = asyncio.get_running_loop(), asyncio.current_task()
        settings = LiveKitSettings.read(self._settings)
        async with LiveKitBackend(self._settings) as backend:
            await backend.control.create_room(_HOME)
            try:
                here, guest = [
                    await backend.connect(await backend.control.issue_join(_HOME, who, grant=Grant()))
                    for who in ("resident", "guest")
                ]
                await asyncio.sleep(_UNPACKED_AFTER)
                await guest.aclose()
                async with asyncio.TaskGroup() as together:
                    refused = together.create_task(self._be_refused(backend, settings))
                    async for _ in here.events:
                        pass
                    refused.cancel()
            finally:
                await backend.control.close_room(_HOME)

    async def _be_refused(self, backend: LiveKitBackend, settings: LiveKitSettings) -> None:
        while True:
            if not settings.is_plain:
                with suppress(UTDStreamException):
                    await backend.connect(JoinTicket(settings.url, "nobody's", 0.0))
            self._has_settled.set()
            await asyncio.sleep(_KEPT / 2)

    def _move_out(self) -> None:
        loop, staying = self._loop, self._staying
        if loop is not None and staying is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(staying.cancel)
            self._thread.join(_SETTLED_WITHIN)
        if self._server is not None:
            self._server.stop()


class OpenLiveKit(Opening):
    """A fresh backend on the shared server, which is started, or started again if a test has killed it."""

    async def _server(self) -> Mapping[str, Any]:
        server = shared_server()
        await asyncio.to_thread(server.start)
        return {**server.settings, "server": server, "faults": True}
