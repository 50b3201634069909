"""Which of the other's tracks are received here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from av.frame import Frame as Decoded

from utd_core.concurrency import Clock
from utd_core.errors import ErrorCode, NotFound
from utd_core.media.backend import ConnectOptions, TrackStatistics
from utd_core.media.events import (
    MediaEvent,
    ParticipantInfo,
    TrackInfo,
    TrackKind,
    TrackSubscribed,
    TrackUnsubscribed,
)
from utd_core.model.permission import Grant, TrackSource

from .loudness import Loudness
from .subscriptions import Subscription


class Receiving:
    """Subscriptions by track id. `changed()`: other tracks are wanted now."""

    def __init__(self, options: ConnectOptions, clock: Clock, changed: Callable[[], None]) -> None:
        self._options = options
        self._clock = clock
        self._changed = changed
        self._wishes: dict[str, bool] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._publishers: dict[str, str] = {}
        self._by_source: dict[TrackSource, Subscription] = {}

    def wish(self, track_id: str, subscribed: bool) -> None:
        """Take or refuse a track, whatever `auto_subscribe` says."""
        self._wishes[track_id] = subscribed

    def find(self, track_id: str) -> Subscription:
        """Raises `NotFound` (track_not_found) when it is not subscribed."""
        if track_id not in self._subscriptions:
            raise NotFound(
                f"track {track_id!r} is not subscribed; wait for TrackSubscribed", code=ErrorCode.TRACK_NOT_FOUND
            )
        return self._subscriptions[track_id]

    def loudness(self, source: TrackSource) -> Loudness | None:
        """How loud the other's track of a source is, if it is received."""
        subscription = self._by_source.get(source)
        return None if subscription is None else subscription.loudness

    def arrive(self, source: TrackSource, frame: Decoded) -> None:
        """A frame of the other has come; one of a track that is muted or not subscribed goes no further."""
        subscription = self._by_source.get(source)
        if subscription is not None and not subscription.info.muted:
            subscription.arrive(frame)

    def match(self, other: ParticipantInfo | None, grant: Grant) -> Iterator[MediaEvent]:
        """Subscribe to what is there and wanted, and end what is not."""
        there = {} if other is None else {track.id: track for track in other.tracks}
        before = self.wants()
        for track_id, subscription in list(self._subscriptions.items()):
            if track_id not in there or not self._is_wished(track_id, grant):
                yield self._end(track_id)
            else:
                subscription.info = there[track_id]
        for track_id in [one for one in self._wishes if one not in there]:
            del self._wishes[track_id]
        if other is not None:
            for track in other.tracks:
                if track.id not in self._subscriptions and self._is_wished(track.id, grant):
                    yield self._begin(other.identity, track)
        if self.wants() != before:
            self._changed()

    def end_all(self, identity: str) -> Iterator[MediaEvent]:
        """Somebody leaves."""
        for track_id in [one for one, publisher in self._publishers.items() if publisher == identity]:
            yield self._end(track_id)

    def renew(self) -> None:
        """What comes now comes over another peer connection."""
        for subscription in self._subscriptions.values():
            subscription.renew()

    def wants(self) -> Mapping[str, bool]:
        """Which of the subscribed tracks are to be sent: a video only while somebody reads it."""
        adaptive = self._options.adaptive_stream
        return {
            track_id: subscription.is_read or not adaptive or subscription.info.kind is TrackKind.AUDIO
            for track_id, subscription in self._subscriptions.items()
        }

    def statistics(self) -> tuple[TrackStatistics, ...]:
        return tuple(subscription.statistics() for subscription in self._subscriptions.values())

    def close(self) -> None:
        """End every reader. Idempotent."""
        for subscription in self._subscriptions.values():
            subscription.close()
        self._subscriptions.clear()
        self._by_source.clear()
        self._publishers.clear()

    def _is_wished(self, track_id: str, grant: Grant) -> bool:
        return grant.subscribe and self._wishes.get(track_id, self._options.auto_subscribe)

    def _begin(self, identity: str, track: TrackInfo) -> MediaEvent:
        subscription = Subscription(track, self._clock, self._changed)
        self._subscriptions[track.id] = self._by_source[track.source] = subscription
        self._publishers[track.id] = identity
        return TrackSubscribed(identity, track)

    def _end(self, track_id: str) -> MediaEvent:
        subscription = self._subscriptions.pop(track_id)
        if self._by_source.get(subscription.info.source) is subscription:
            del self._by_source[subscription.info.source]
        subscription.close()
        return TrackUnsubscribed(self._publishers.pop(track_id), subscription.info)
