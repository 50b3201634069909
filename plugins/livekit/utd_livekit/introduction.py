"""That the others know of this participant, and from the beginning.

LiveKit tells a room up to 3 s late of somebody who publishes nothing; data of theirs that comes before has no sender,
and looks like the server's. Of somebody who publishes anything it tells at once. A data track is the least that can be
published, takes no more than the grant to send data, and may go again in the same moment.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from livekit import rtc
from livekit.rtc.participant import PublishDataTrackError

from .errands import Errands

CROWD = 50
"""How many others a newcomer lets know of himself unasked: each join is news for everybody, and LiveKit collects it for
a reason. In a larger room he does so when he sends data."""

_TOLD_WITHIN = 3.2
"""Seconds after joining in which LiveKit has told everybody by itself."""
_NAME = "utd-hello"


class Introduction:
    """Of one participant; made anew after each connection that the SDK makes for it."""

    def __init__(self, room: rtc.Room, errands: Errands) -> None:
        self._room = room
        self._errands = errands
        self._making: asyncio.Task[None] | None = None

    def begin(self, *, may_send: bool) -> None:
        """The room has connected, now or anew."""
        self._making = None
        self._told_at = asyncio.get_running_loop().time() + _TOLD_WITHIN
        if may_send and len(self._room.remote_participants) <= CROWD:
            self._start()

    async def made(self) -> None:
        """Return when whoever is in the room knows this participant, who may send data. Raises `Closed`."""
        await self._errands.wait(self._start())

    def _start(self) -> asyncio.Task[None]:
        if self._making is None:
            self._making = self._errands.start(self._make())
        return self._making

    async def _make(self) -> None:
        left = self._told_at - asyncio.get_running_loop().time()
        # Whoever came later was shown who is there.
        if left <= 0 or not self._room.remote_participants:
            return
        saying = self._errands.start(self._say_hello())
        done, _ = await asyncio.wait([saying], timeout=left)
        if saying not in done or not saying.result():
            # An older server knows no data tracks.
            await asyncio.sleep(max(0.0, self._told_at - asyncio.get_running_loop().time()))

    async def _say_hello(self) -> bool:
        with suppress(PublishDataTrackError):
            track = await self._room.local_participant.publish_data_track(name=_NAME)
            await track.unpublish()
            return True
        return False
