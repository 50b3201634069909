"""The tracks that this participant publishes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping

from utd_core.concurrency import Clock
from utd_core.errors import PublishRefused
from utd_core.media.backend import PublishOptions, TrackStatistics
from utd_core.media.events import LocalTrackEnded, MediaEvent, TrackInfo, TrackMuted, TrackUnmuted
from utd_core.model.permission import TrackSource

from .dialogue import Dialogue
from .feeds import PictureFeed, SoundFeed
from .local import P2PLocalTrack, Publisher, local_track
from .loudness import Loudness
from .protocol import Mute, Muted, Publish, TrackBody, Unpublish

_EARLY = 16
"""Tracks of which something is remembered before they are published."""

Way = SoundFeed | PictureFeed | None


class Publishing(Publisher):
    """`way(track)`: where its frames go now. `check()` raises where the connection is over. `is_broken()`: there should
    be a way, and there is none."""

    def __init__(
        self,
        dialogue: Dialogue,
        way: Callable[[P2PLocalTrack], Way],
        check: Callable[[], None],
        is_broken: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._dialogue = dialogue
        self._way = way
        self._check = check
        self._is_broken = is_broken
        self._tracks: dict[str, P2PLocalTrack] = {}
        self._wanted_early: dict[str, bool] = {}
        """What was said of tracks that are not published yet."""

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def is_broken(self) -> bool:
        return self._is_broken()

    @property
    def tracks(self) -> tuple[P2PLocalTrack, ...]:
        """Those that are published now."""
        return tuple(self._tracks.values())

    def loudness(self, source: TrackSource) -> Loudness | None:
        """How loud the track of a source is, if there is one."""
        return next((track.loudness for track in self._tracks.values() if track.info.source is source), None)

    def way_of(self, track: P2PLocalTrack) -> Way:
        return self._way(track)

    async def publish(self, options: PublishOptions) -> P2PLocalTrack:
        """Publish a track, in the place of an older one of its source. Raises `PublishRefused`."""
        info = TrackInfo(f"TR_{secrets.token_hex(8)}", options.source, name=options.name)
        track = local_track(info, options, self)
        request = Publish(request=self._dialogue.next_number(), track=TrackBody.of(info))
        try:
            await self._dialogue.ask(request, lambda: self._begin(track))
        except PublishRefused:
            track.end()
            raise
        except BaseException:
            # Cancelled, or too late to be wanted: whatever the control half has made of it, it ends.
            track.end()
            self._tracks.pop(info.id, None)
            self._dialogue.say(Unpublish(track=info.id))
            raise
        return track

    async def mute(self, track: P2PLocalTrack, muted: bool) -> None:
        self._check()
        request = Mute(request=self._dialogue.next_number(), track=track.info.id, muted=muted)
        await self._dialogue.ask(request, lambda: track.muted_is(muted))

    async def unpublish(self, track: P2PLocalTrack) -> None:
        self._check()
        self._tracks.pop(track.info.id, None)
        self._dialogue.say(Unpublish(track=track.info.id))

    def take_away(self, track_id: str) -> Iterator[MediaEvent]:
        """The control half has ended a track."""
        if (track := self._tracks.pop(track_id, None)) is not None:
            track.end()
            yield LocalTrackEnded(track.info)

    def take_mute(self, identity: str, message: Muted) -> Iterator[MediaEvent]:
        """The control half has muted a track, or lifted that."""
        if (track := self._tracks.get(message.track)) is not None:
            yield _mute(identity, track, message.muted, by_server=message.by_server)

    def take_wants(self, wanted: Mapping[str, bool]) -> None:
        """The other side says which tracks it wants.

        It may be told of a track, and want it, before word comes here that it is published: the two take other ways.
        """
        self._wanted_early = {**self._wanted_early, **wanted}
        for track_id in [one for one in self._wanted_early if one in self._tracks]:
            self._tracks[track_id].wanted = self._wanted_early.pop(track_id)
        for track_id in list(self._wanted_early)[:-_EARLY]:
            del self._wanted_early[track_id]

    def match(self, identity: str, known: Mapping[str, TrackBody]) -> Iterator[MediaEvent]:
        """After a break: what the control half knows of these tracks has the last word, but for what was ended here."""
        for track_id in [one for one in self._tracks if one not in known]:
            yield from self.take_away(track_id)
        for track_id, body in known.items():
            if (track := self._tracks.get(track_id)) is not None:
                if track.info.muted != body.muted:
                    yield _mute(identity, track, body.muted, by_server=body.muted)
            elif not self._dialogue.concerns(track_id):
                self._dialogue.say(Unpublish(track=track_id))

    def statistics(self) -> tuple[TrackStatistics, ...]:
        return tuple(track.statistics() for track in self._tracks.values())

    def close(self) -> None:
        """End every track. Idempotent."""
        for track in self._tracks.values():
            track.end()
        self._tracks.clear()

    def _begin(self, track: P2PLocalTrack) -> None:
        for older in [one for one in self._tracks.values() if one.info.source is track.info.source]:
            older.end()
            del self._tracks[older.info.id]
        self._tracks[track.info.id] = track
        if (wanted := self._wanted_early.pop(track.info.id, None)) is not None:
            track.wanted = wanted


def _mute(identity: str, track: P2PLocalTrack, muted: bool, *, by_server: bool) -> MediaEvent:
    track.muted_is(muted)
    return TrackMuted(identity, track.info, by_server) if muted else TrackUnmuted(identity, track.info)
