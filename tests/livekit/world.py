"""The world of the client's tests on LiveKit: a real server, and time that goes on by itself and can leap."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import FfiEvent

from tests.client.world import Way, WorldOf
from tests.webrtc_p2p.calls import LeapingClock
from utd_livekit.backend import LiveKitBackend
from utd_livekit.server.local import LocalServer

_QUIET = 0.25
"""Seconds in which nothing comes from the server and nothing is asked of it: then everything has arrived."""
_POLL = 0.01


class LiveKitWorld(WorldOf[LeapingClock, LiveKitBackend]):
    """One engine on a LiveKit server."""

    def __init__(self, way: Way, server: LocalServer) -> None:
        clock = LeapingClock(self.settle)
        super().__init__(way, clock, LiveKitBackend({**server.settings, "server": server, "faults": True}, clock))
        self._news = 0

    async def __aenter__(self) -> Self:
        self._ear: Any = FfiClient.instance.queue.subscribe(asyncio.get_running_loop(), self._notice)
        await super().__aenter__()
        self._told = self.backend.control.notifications()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(kind, error, trace)
        finally:
            FfiClient.instance.queue.unsubscribe(self._ear)

    async def settle(self) -> None:
        loop = asyncio.get_running_loop()
        before, since = self._state(), loop.time()
        while loop.time() - since < _QUIET:
            await asyncio.sleep(_POLL)
            now = self._state()
            if now != before or self.backend.is_busy:
                before, since = now, loop.time()

    def _state(self) -> tuple[int, int]:
        return self._news, self._told.statistics().accepted

    def _notice(self, event: FfiEvent) -> bool:
        # In a thread of the native library; nothing is ever put into the queue.
        self._news += event.WhichOneof("message") == "room_event"
        return False
