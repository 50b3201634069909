"""The others in the room and their tracks, brought level with what the SDK shows.

The SDK's events come doubled, late or about somebody who has left. So an event only says whom to look at: what is told
is the difference between what was known and what is there. A full reconnect takes everybody away, says only then that
it is one, and brings them back: whoever seems to go is looked at a moment later, and not while a reconnect lasts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from livekit import rtc

from utd_core.media.events import (
    MediaEvent,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    TrackInfo,
    TrackMuted,
    TrackPublished,
    TrackSubscribed,
    TrackUnmuted,
    TrackUnpublished,
    TrackUnsubscribed,
)
from utd_core.media.quality import VideoQuality

from .names import read_wire_name
from .permissions import grant_of
from .profiles import attributes_of, text_of
from .reasons import reason_of
from .remote import RemoteTrack
from .sources import FROM_CLIENT

SETTLED = 0.03
"""Seconds from the first whom a reconnect takes away to the word that it is one; a few ms where it was seen. So long is
waited for the rest of what happened at once."""
_WISHES_KEPT = 1_000


@dataclass(slots=True)
class _Other:
    participant: rtc.RemoteParticipant
    tracks: dict[str, RemoteTrack] = field(default_factory=dict)


class Roster:
    """`tell` puts an event into the connection's stream; it is called when everything shows what the event says."""

    def __init__(self, room: rtc.Room, tell: Callable[[MediaEvent], object], *, is_adaptive: bool) -> None:
        self._room = room
        self._tell = tell
        self._is_adaptive = is_adaptive
        self._others: dict[str, _Other] = {}
        self._infos: dict[str, ParticipantInfo] = {}
        self._tracks: dict[str, RemoteTrack] = {}
        self._wishes: dict[str, VideoQuality] = {}
        self._is_held = False
        self._doubtful: set[str] = set()
        self._settling: asyncio.TimerHandle | None = None

    @property
    def participants(self) -> Mapping[str, ParticipantInfo]:
        return MappingProxyType(self._infos)

    def track(self, track_id: str) -> RemoteTrack | None:
        """A published track of somebody else."""
        return self._tracks.get(track_id)

    def subscribed(self) -> Iterator[RemoteTrack]:
        """The tracks that are received."""
        return (track for track in self._tracks.values() if track.is_subscribed)

    def wish(self, track: RemoteTrack, quality: VideoQuality) -> None:
        """The largest size of a track that is wanted, kept for its publisher's next connection as well."""
        self._wishes.pop(track.info.id, None)
        self._wishes[track.info.id] = quality
        if len(self._wishes) > _WISHES_KEPT:
            del self._wishes[next(iter(self._wishes))]
        track.wish = quality
        track.apply_wishes()

    def begin(self) -> None:
        """Take over who is there already, which is no news; the subscriptions to their tracks are."""
        for identity, participant in self._room.remote_participants.items():
            other = self._others[identity] = _Other(participant)
            for publication in participant.track_publications.values():
                self._add(other, identity, publication)
            self._show(identity, other)
            self.look_at(identity)

    def hold(self) -> None:
        """A reconnect begins: what is seen until it ends is its doing, and not what the others do."""
        self._is_held = True

    def release(self) -> None:
        """The reconnect is over: tell what is different now."""
        self._is_held = False
        there = self._room.remote_participants
        for identity, other in self._others.items():
            other.participant = there.get(identity, other.participant)
        for identity in [*self._others, *(new for new in there if new not in self._others)]:
            self.look_at(identity)

    def look_soon(self, identity: str) -> None:
        """Somebody, or something of theirs, seems to be gone, or to become another in several steps."""
        self._doubtful.add(identity)
        if self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(SETTLED, self._settle)

    def look_at(self, identity: str) -> None:
        """Tell what is different about somebody."""
        if self._is_held:
            return
        participant, other = self._room.remote_participants.get(identity), self._others.get(identity)
        if other is not None and participant is not other.participant:
            # Gone; or gone and come again, which is somebody new.
            self._forget(identity, other)
            other = None
        if participant is None:
            return
        if other is None:
            other = self._others[identity] = _Other(participant)
            self._show(identity, other)
            self._tell(ParticipantJoined(self._infos[identity]))
        before = self._infos[identity]
        self._show(identity, other)
        now = self._infos[identity]
        if (before.name, before.metadata, before.attributes) != (now.name, now.metadata, now.attributes):
            self._tell(ParticipantUpdated(now))
        self._compare(identity, other)

    def end_subscriptions(self) -> None:
        """Nothing is received any more: the grant to subscribe is gone."""
        for track in self._tracks.values():
            self._end_subscription(track)

    def close(self) -> None:
        """The connection has ended, and says so itself."""
        if self._settling is not None:
            self._settling.cancel()
        for track in self._tracks.values():
            track.unsubscribed()
            track.subscribing.stop()
        self._others.clear()
        self._tracks.clear()
        self._infos.clear()

    def _settle(self) -> None:
        self._settling = None
        doubtful, self._doubtful = self._doubtful, set()
        for identity in doubtful:
            self.look_at(identity)

    def _compare(self, identity: str, other: _Other) -> None:
        published = {self._id_of(identity, each): each for each in other.participant.track_publications.values()}
        for track in [track for track_id, track in other.tracks.items() if track_id not in published]:
            self._remove(other, track)
        for track_id, publication in published.items():
            known = other.tracks.get(track_id)
            if known is None:
                known = self._add(other, identity, publication)
                if known is None:
                    continue
                self._show(identity, other)
                self._tell(TrackPublished(identity, known.info))
            known.bind(publication)
            if publication.track is None:
                if not known.is_returning:
                    self._end_subscription(known)
            elif known.subscribed(publication.track):
                self._tell(TrackSubscribed(identity, known.info))
            self._compare_mute(identity, other, known)

    def _compare_mute(self, identity: str, other: _Other, track: RemoteTrack) -> None:
        muted = track.publication.muted
        if muted == track.info.muted:
            return
        track.set_muted(muted)
        self._show(identity, other)
        if muted:
            by_server = track.mutes.is_by_server(other.participant.attributes)
            self._tell(TrackMuted(identity, track.info, by_server))
        else:
            self._tell(TrackUnmuted(identity, track.info))

    def _add(self, other: _Other, identity: str, publication: rtc.RemoteTrackPublication) -> RemoteTrack | None:
        source = FROM_CLIENT.get(publication.source)
        if source is None:
            return None
        track_id, name = read_wire_name(publication.name, publication.sid, identity)
        info = TrackInfo(track_id, source, publication.muted, name)
        attributes = other.participant.attributes
        track = RemoteTrack(identity, info, publication, attributes, is_adaptive=self._is_adaptive)
        track.wish = self._wishes.get(track_id, track.wish)
        other.tracks[track_id] = self._tracks[track_id] = track
        return track

    def _remove(self, other: _Other, track: RemoteTrack) -> None:
        self._end_subscription(track)
        track.subscribing.stop()
        del other.tracks[track.info.id], self._tracks[track.info.id]
        self._show(track.identity, other)
        self._tell(TrackUnpublished(track.identity, track.info))

    def _forget(self, identity: str, other: _Other) -> None:
        for track in list(other.tracks.values()):
            self._remove(other, track)
        del self._others[identity], self._infos[identity]
        self._tell(ParticipantLeft(identity, reason_of(other.participant.disconnect_reason)))

    def _end_subscription(self, track: RemoteTrack) -> None:
        if track.unsubscribed():
            self._tell(TrackUnsubscribed(track.identity, track.info))

    def _id_of(self, identity: str, publication: rtc.RemoteTrackPublication) -> str:
        return read_wire_name(publication.name, publication.sid, identity)[0]

    def _show(self, identity: str, other: _Other) -> None:
        participant, before = other.participant, self._infos.get(identity)
        joined_at = participant.joined_at.timestamp() if participant.joined_at is not None else 0.0
        now = ParticipantInfo(
            identity,
            text_of(participant.name),
            grant_of(participant.permissions, FROM_CLIENT),
            tuple(track.info for track in other.tracks.values()),
            joined_at if before is None else before.joined_at,
            metadata=text_of(participant.metadata),
            attributes=attributes_of(participant),
        )
        if now != before:
            self._infos[identity] = now
