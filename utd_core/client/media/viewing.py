"""In which size this participant wants the pictures of others."""

from __future__ import annotations

import logging
from contextlib import suppress

from ...concurrency import TaskScope
from ...errors import Closed, ConnectionLost, NotFound, UTDStreamException
from ...media.events import MediaEvent, TrackInfo, TrackSubscribed
from ...media.quality import VideoQuality
from ...model.permission import TrackSource
from .media_plane import MediaPlane

log = logging.getLogger("utd_core.client")


class Viewing:
    """The wishes of one stay, by participant and source; a backend knows them by track, so each new track is told."""

    def __init__(self, scope: TaskScope) -> None:
        self._scope = scope
        self._connection: MediaPlane | None = None
        self._wishes: dict[tuple[str, TrackSource], VideoQuality] = {}

    def attach(self, connection: MediaPlane) -> None:
        """There is a connection; its tracks are told as they are subscribed."""
        self._connection = connection

    def detach(self) -> None:
        """There is none; the wishes wait for the next one."""
        self._connection = None

    def end_stay(self) -> None:
        """This participant has left, and wishes nothing any more."""
        self._wishes.clear()

    async def wish(self, identity: str, source: TrackSource, quality: VideoQuality) -> None:
        """Have the present tracks, and every later one, in this quality. Raises `Unsupported`."""
        self._wishes[identity, source] = quality
        connection = self._connection
        if connection is not None:
            for track in self._present(connection, identity, source):
                # A track or a connection that ends meanwhile is followed by another, which will be told.
                with suppress(NotFound, Closed, ConnectionLost):
                    await connection.set_quality(track.id, quality)

    def take(self, event: MediaEvent) -> None:
        """Take over an event of the connection."""
        match event:
            case TrackSubscribed(identity, track) if (identity, track.source) in self._wishes:
                if self._scope.is_open:
                    self._scope.start(self._tell, identity, track, name=f"quality of {identity}")
            case _:
                pass

    def _present(self, connection: MediaPlane, identity: str, source: TrackSource) -> list[TrackInfo]:
        participant = connection.participants.get(identity)
        return [] if participant is None else [track for track in participant.tracks if track.source is source]

    async def _tell(self, identity: str, track: TrackInfo) -> None:
        # The wish as it is now: a later one may have come since the event.
        connection, quality = self._connection, self._wishes.get((identity, track.source))
        if connection is None or quality is None:
            return
        try:
            await connection.set_quality(track.id, quality)
        except UTDStreamException as error:
            log.info("%s of %s comes as it is: %s", track.source.value, identity, error)
