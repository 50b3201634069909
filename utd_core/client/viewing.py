"""In which size this participant wants the pictures of others."""

from __future__ import annotations

import logging
from contextlib import suppress

from ..concurrency import TaskScope
from ..errors import Closed, ConnectionLost, NotFound, UTDStreamException
from ..media.backend import MediaConnection
from ..media.events import MediaEvent, TrackInfo, TrackSubscribed
from ..media.quality import VideoQuality
from ..model.permission import TrackSource

log = logging.getLogger("utd_core.client")


class Viewing:
    """The wishes of one stay, by participant and source; a backend knows them by track, so each new track is told."""

    def __init__(self, scope: TaskScope) -> None:
        self._scope = scope
        self._connection: MediaConnection | None = None
        self._wishes: dict[tuple[str, TrackSource], VideoQuality] = {}

    def attach(self, connection: MediaConnection) -> None:
        """There is a connection; its tracks are told as they are subscribed."""
        self._connection = connection

    def detach(self) -> None:
        """There is none; the wishes wait for the next one."""
        self._connection = None

    def end_stay(self) -> None:
        """This participant has left, and wishes nothing any more."""
        self._wishes.clear()

    async def wish(self, identity: str, source: TrackSource, quality: VideoQuality) -> None:
        """Have the present track, and every later one, in this quality. Raises `Unsupported`."""
        self._wishes[identity, source] = quality
        track = self._present(identity, source)
        if track is not None and self._connection is not None:
            # A track or a connection that ends meanwhile is followed by another, which will be told.
            with suppress(NotFound, Closed, ConnectionLost):
                await self._connection.set_quality(track.id, quality)

    def take(self, event: MediaEvent) -> None:
        """Take over an event of the connection."""
        match event:
            case TrackSubscribed(identity, track) if (identity, track.source) in self._wishes:
                if self._scope.is_open:
                    self._scope.start(self._tell, identity, track, name=f"quality of {identity}")
            case _:
                pass

    def _present(self, identity: str, source: TrackSource) -> TrackInfo | None:
        participant = None if self._connection is None else self._connection.participants.get(identity)
        tracks = () if participant is None else participant.tracks
        return next((track for track in tracks if track.source is source), None)

    async def _tell(self, identity: str, track: TrackInfo) -> None:
        # The wish as it is now: a later one may have come since the event.
        connection, quality = self._connection, self._wishes.get((identity, track.source))
        if connection is None or quality is None:
            return
        try:
            await connection.set_quality(track.id, quality)
        except UTDStreamException as error:
            log.info("%s of %s comes as it is: %s", track.source.value, identity, error)
