"""The selective part of the mock's SFU: which tracks there are, and who gets which of them."""

from __future__ import annotations

import itertools

from utd_core.errors import ErrorCode, Forbidden, InvalidInput, NotFound, PublishRefused
from utd_core.media import arguments
from utd_core.media.backend import PublishOptions
from utd_core.media.events import (
    LocalTrackEnded,
    NotificationKind,
    QualityChanged,
    TrackMuted,
    TrackPublished,
    TrackUnmuted,
    TrackUnpublished,
)
from utd_core.media.notices import Notifier
from utd_core.media.quality import VideoQuality

from .capabilities import CAPABILITIES
from .messages import Subscribed, Unsubscribed
from .rooms import Participant
from .tracks import PublishedTrack, Subscription


class Forwarder:
    """The tracks of all rooms of one server. `notifier` is told when they come and go."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._numbers = itertools.count(1)

    def offer_all(self, participant: Participant) -> None:
        """Begin to deliver every track that the participant wants and does not get yet."""
        for other in participant.room.others(participant):
            for track in other.tracks.values():
                self._offer(track, participant)

    def publish(self, participant: Participant, options: PublishOptions) -> PublishedTrack:
        """Publish, in the place of an older track of the same source. Raises `PublishRefused`."""
        arguments.check_publish(options, "mock", CAPABILITIES)
        if not participant.connected:
            raise PublishRefused(
                f"{participant.identity!r} is not connected to room {participant.room.name!r} any more"
            )
        if options.source not in participant.grant.publish:
            raise PublishRefused(
                f"the grant of {participant.identity!r} does not hold {options.source.value!r}; "
                "ask for a seat, a stage place or a role that does",
                details={"source": options.source.value},
            )
        if (older := participant.tracks.get(options.source)) is not None:
            self._end_track(older)
        track = PublishedTrack(f"TR_{next(self._numbers):06}", participant, options)
        is_first = not participant.tracks
        participant.tracks[options.source] = track
        self._announce(track)
        if is_first and participant.quality is not None:
            participant.room.tell_others(participant, QualityChanged(participant.identity, participant.quality))
        return track

    def unpublish(self, track: PublishedTrack) -> None:
        """End a track at its publisher's wish. Idempotent."""
        if track.owner.tracks.get(track.info.source) is track:
            self._end_track(track)

    def set_muted(self, track: PublishedTrack, muted: bool, *, by_server: bool) -> None:
        """Mute or unmute; the last word counts, whoever says it. The publisher hears what the server did."""
        if track.owner.tracks.get(track.info.source) is not track or track.info.muted == muted:
            return
        track.set_muted(muted)
        identity = track.owner.identity
        event = TrackMuted(identity, track.info, by_server) if muted else TrackUnmuted(identity, track.info)
        if by_server:
            track.owner.link.signal(event)
        if not track.is_away:
            track.owner.room.tell_others(track.owner, event)

    def match(self, participant: Participant) -> None:
        """The participant's grant is another one: what it no longer holds ends now, what it holds again comes back."""
        for track in list(participant.tracks.values()):
            if track.info.source not in participant.grant.publish:
                self._end_track(track)
                participant.link.signal(LocalTrackEnded(track.info))
        for track_id, subscription in list(participant.subscriptions.items()):
            if not participant.wants(subscription.track):
                self._unsubscribe(participant, track_id)
        self.offer_all(participant)

    def forget(self, participant: Participant) -> None:
        """The participant is gone: nothing is published by it any more, and nothing goes to it."""
        for track in list(participant.tracks.values()):
            self._end_track(track)
        for subscription in participant.subscriptions.values():
            subscription.track.subscriptions.pop(participant.identity, None)
            subscription.track.reroute()
        participant.subscriptions.clear()

    def published_track(self, participant: Participant, track_id: str) -> PublishedTrack:
        """A track of this participant. Raises `NotFound` (track_not_found)."""
        for track in participant.tracks.values():
            if track.info.id == track_id:
                return track
        raise _no_track(track_id, f"among those of {participant.identity!r}")

    def set_subscribed(self, participant: Participant, track_id: str, subscribed: bool) -> None:
        """Take or refuse a remote track. Raises `NotFound` (track_not_found) or `Forbidden`."""
        track = self._remote_track(participant, track_id)
        if subscribed and not participant.grant.subscribe:
            raise Forbidden(f"the grant of {participant.identity!r} does not allow to subscribe")
        participant.wishes[track_id] = subscribed
        if subscribed:
            self._offer(track, participant)
        else:
            self._unsubscribe(participant, track_id)

    def set_quality(self, participant: Participant, track_id: str, quality: VideoQuality) -> None:
        """Take another layer of a remote video. Raises `NotFound` (track_not_found) or `InvalidInput`."""
        track = self._remote_track(participant, track_id)
        if not track.is_video:
            raise InvalidInput(f"track {track_id!r} ({track.info.source}) is sound, which comes in one quality")
        participant.qualities[track_id] = quality
        if (subscription := participant.subscriptions.get(track_id)) is not None:
            subscription.set_quality(quality)

    def set_away(self, participant: Participant) -> None:
        """The participant's connection is being rebuilt: its tracks disappear for the others."""
        for track in participant.tracks.values():
            if not track.is_away:
                self._withdraw(track)
                track.set_away(True)

    def set_back(self, participant: Participant) -> None:
        """The connection was rebuilt: its tracks come back under their old ids. Idempotent."""
        for track in participant.tracks.values():
            if track.is_away:
                track.set_away(False)
                self._announce(track)

    def _remote_track(self, participant: Participant, track_id: str) -> PublishedTrack:
        """A track that this participant can have. Raises `NotFound` (track_not_found)."""
        track = participant.room.tracks.get(track_id) if participant.connected else None
        if track is None or track.owner is participant:
            raise _no_track(track_id, f"in room {participant.room.name!r} for {participant.identity!r} to subscribe to")
        return track

    def _announce(self, track: PublishedTrack) -> None:
        owner = track.owner
        others = owner.room.others(owner)
        owner.room.tracks[track.info.id] = track
        owner.room.tell_others(owner, TrackPublished(owner.identity, track.info))
        self._notifier.notify(NotificationKind.TRACK_PUBLISHED, owner.room.name, owner.identity, track.info)
        for other in others:
            self._offer(track, other)

    def _withdraw(self, track: PublishedTrack) -> None:
        owner = track.owner
        others = owner.room.others(owner)
        owner.room.tracks.pop(track.info.id, None)
        for other in others:
            self._unsubscribe(other, track.info.id)
        owner.room.tell_others(owner, TrackUnpublished(owner.identity, track.info))
        self._notifier.notify(NotificationKind.TRACK_UNPUBLISHED, owner.room.name, owner.identity, track.info)

    def _end_track(self, track: PublishedTrack) -> None:
        del track.owner.tracks[track.info.source]
        if not track.is_away:
            self._withdraw(track)
        track.end()
        for other in track.owner.room.others(track.owner):
            other.forget(track)

    def _offer(self, track: PublishedTrack, participant: Participant) -> None:
        if track.is_away or track.info.id in participant.subscriptions or not participant.wants(track):
            return
        subscription = Subscription(
            track,
            participant.link,
            adaptive=participant.options.adaptive_stream,
            is_readable=participant.can_read(track.owner),
            quality=participant.qualities.get(track.info.id, VideoQuality.HIGH),
        )
        participant.subscriptions[track.info.id] = subscription
        track.subscriptions[participant.identity] = subscription
        participant.link.signal(Subscribed(subscription))
        track.reroute()

    def _unsubscribe(self, participant: Participant, track_id: str) -> None:
        subscription = participant.subscriptions.pop(track_id, None)
        if subscription is not None:
            subscription.track.subscriptions.pop(participant.identity, None)
            subscription.track.reroute()
            participant.link.signal(Unsubscribed(subscription))


def _no_track(track_id: str, where: str) -> NotFound:
    return NotFound(f"there is no track {track_id!r} {where}", code=ErrorCode.TRACK_NOT_FOUND)
