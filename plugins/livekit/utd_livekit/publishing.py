"""The tracks of this participant: published once for each source, refused at once, and never left half published."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

from livekit import rtc
from livekit.rtc.participant import UnpublishTrackError

from utd_core.errors import MediaError, PublishRefused, UTDStreamException
from utd_core.media.backend import PublishOptions
from utd_core.media.events import LocalTrackEnded, MediaEvent, TrackMuted, TrackUnmuted
from utd_core.model.permission import Grant, TrackSource

from .errands import Errands
from .local import LiveKitLocalTrack, local_track


class Publisher:
    """`tell` puts an event into the connection's stream; `check_alive` raises when the connection has ended."""

    def __init__(
        self, room: rtc.Room, errands: Errands, tell: Callable[[MediaEvent], object], check_alive: Callable[[], None]
    ) -> None:
        self._room = room
        self._errands = errands
        self._tell = tell
        self._check_alive = check_alive
        self._tracks: dict[str, LiveKitLocalTrack] = {}
        self._turns: dict[TrackSource, asyncio.Lock] = {}
        self._refusals: dict[asyncio.Future[None], TrackSource] = {}
        self.grant = Grant(subscribe=False, publish_data=False)

    @property
    def tracks(self) -> Iterator[LiveKitLocalTrack]:
        return iter(tuple(self._tracks.values()))

    async def publish(self, options: PublishOptions) -> LiveKitLocalTrack:
        """Publish a track in place of the one of its source. Raises `PublishRefused` or `MediaError`."""
        self._check_granted(options.source)
        publishing = self._errands.start(self._publish(options))
        try:
            return await self._errands.wait(publishing)
        except asyncio.CancelledError:
            publishing.add_done_callback(self._take_back)
            raise

    def enforce(self) -> None:
        """The grant is another one. What is being published without it is refused, and what was published has ended:
        the server tells that to the others, and to nobody here."""
        grant = self.grant
        for refusal, source in self._refusals.items():
            if source not in grant.publish:
                _release(refusal)
        for track in self.tracks:
            if track.options.source not in grant.publish and track.publication is not None:
                self._ended(track)

    def unpublished(self, publication: rtc.LocalTrackPublication) -> None:
        """The server has ended a track."""
        track = self._of(publication)
        if track is not None:
            self._ended(track)

    def muted(self, publication: rtc.TrackPublication, muted: bool) -> None:
        """A track of this participant is muted, or not any more."""
        track = self._of(publication)
        if track is not None and track.notice_mute(muted):
            identity = self._room.local_participant.identity
            self._tell(TrackMuted(identity, track.info, True) if muted else TrackUnmuted(identity, track.info))

    def close(self) -> None:
        """The connection has ended, and every track with it."""
        for refusal in self._refusals:
            _release(refusal)
        tracks, self._tracks = self._tracks, {}
        for track in tracks.values():
            track.end()
            self._errands.start(track.release())

    async def _publish(self, options: PublishOptions) -> LiveKitLocalTrack:
        async with self._turns.setdefault(options.source, asyncio.Lock()):
            for older in self.tracks:
                if older.options.source is options.source:
                    await older.unpublish()
            # Both may have gone while others were waited for; from here on `_announce` is told.
            self._check_alive()
            self._check_granted(options.source)
            track = local_track(self._room.local_participant.identity, options, self._unpublish)
            self._tracks[track.id] = track
            try:
                track.publication = await self._announce(track)
                self._check_alive()
            except BaseException:
                track.end()
                self._tracks.pop(track.id, None)
                await track.release()
                raise
        if track.ended:
            # The grant went while the answer was on its way.
            raise self._refused(options.source)
        return track

    async def _announce(self, track: LiveKitLocalTrack) -> rtc.LocalTrackPublication:
        """Tell the server. Without permission it never answers, so a grant that goes ends the wait."""
        source = track.options.source
        announcing = self._errands.start(
            self._room.local_participant.publish_track(track.native, track.publish_options)
        )
        refusal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._refusals[refusal] = source
        try:
            await asyncio.wait((announcing, refusal), return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._refusals[refusal]
        if not announcing.done():
            announcing.add_done_callback(self._withdraw)
            self._check_alive()
            raise self._refused(source)
        try:
            return announcing.result()
        except Exception as error:
            self._check_alive()
            self._check_granted(source)
            raise MediaError(f"LiveKit did not take the track of {source}: {error}") from error

    async def _unpublish(self, track: LiveKitLocalTrack) -> None:
        self._tracks.pop(track.id, None)
        await self._errands.run(self._end(track))

    async def _end(self, track: LiveKitLocalTrack) -> None:
        if track.publication is not None:
            # The end of the connection, or the server, may have ended the track a moment before.
            with suppress(UnpublishTrackError, KeyError, ConnectionError):
                await self._room.local_participant.unpublish_track(track.publication.sid)
        await track.release()

    def _take_back(self, publishing: asyncio.Task[LiveKitLocalTrack]) -> None:
        """Nobody waits for the track any more."""
        if not publishing.cancelled() and publishing.exception() is None:
            self._errands.start(publishing.result().unpublish())

    def _withdraw(self, announcing: asyncio.Task[rtc.LocalTrackPublication]) -> None:
        """The server took a track that was given up."""
        if not announcing.cancelled() and announcing.exception() is None:
            self._errands.start(self._room.local_participant.unpublish_track(announcing.result().sid))

    def _ended(self, track: LiveKitLocalTrack) -> None:
        track.end()
        del self._tracks[track.id]
        self._errands.start(self._end(track))
        self._tell(LocalTrackEnded(track.info))

    def _of(self, publication: rtc.TrackPublication) -> LiveKitLocalTrack | None:
        return next((track for track in self._tracks.values() if track.publication is publication), None)

    def _check_granted(self, source: TrackSource) -> None:
        if source not in self.grant.publish:
            raise self._refused(source)

    def _refused(self, source: TrackSource) -> UTDStreamException:
        return PublishRefused(f"publishing {source} is not granted; take a seat, come on stage or ask first")


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
