"""What a client knows of the other participant, and the events of what changes in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from utd_core.media.attributes import Attributes
from utd_core.media.events import (
    DisconnectReason,
    MediaEvent,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    TrackInfo,
    TrackMuted,
    TrackPublished,
    TrackUnmuted,
    TrackUnpublished,
)
from utd_core.media.profiles import Profile
from utd_core.model.permission import Grant


class Roster:
    """Applies what the control half says; each change returns the events that tell of it, after it is applied."""

    def __init__(self) -> None:
        self._people: dict[str, ParticipantInfo] = {}

    @property
    def people(self) -> Mapping[str, ParticipantInfo]:
        """The others, by identity."""
        return MappingProxyType(self._people)

    @property
    def other(self) -> ParticipantInfo | None:
        """The other one, if somebody is there."""
        return next(iter(self._people.values()), None)

    def find(self, track_id: str) -> tuple[ParticipantInfo, TrackInfo] | None:
        """A remote track and its publisher."""
        for person in self._people.values():
            for track in person.tracks:
                if track.id == track_id:
                    return person, track
        return None

    def join(self, person: ParticipantInfo) -> MediaEvent:
        self._people[person.identity] = person
        return ParticipantJoined(person)

    def leave(self, identity: str, reason: DisconnectReason) -> Iterator[MediaEvent]:
        person = self._people.pop(identity, None)
        if person is not None:
            yield ParticipantLeft(identity, reason)

    def grant(self, identity: str, grant: Grant) -> None:
        """No event of its own, but `participants` shows it."""
        if (person := self._people.get(identity)) is not None:
            self._people[identity] = replace(person, grant=grant)

    def describe(self, identity: str, profile: Profile) -> Iterator[MediaEvent]:
        person = self._people.get(identity)
        if person is not None and profile != Profile(person.name, person.metadata, Attributes(person.attributes)):
            now = replace(person, name=profile.name, metadata=profile.metadata, attributes=profile.attributes)
            self._people[identity] = now
            yield ParticipantUpdated(now)

    def publish(self, identity: str, track: TrackInfo) -> Iterator[MediaEvent]:
        if (person := self._people.get(identity)) is not None:
            self._people[identity] = replace(person, tracks=(*person.tracks, track))
            yield TrackPublished(identity, track)

    def unpublish(self, identity: str, track_id: str) -> Iterator[MediaEvent]:
        if (found := self.find(track_id)) is not None and found[0].identity == identity:
            person, track = found
            left = tuple(one for one in person.tracks if one.id != track_id)
            self._people[identity] = replace(person, tracks=left)
            yield TrackUnpublished(identity, track)

    def mute(self, identity: str, track_id: str, muted: bool, by_server: bool) -> Iterator[MediaEvent]:
        found = self.find(track_id)
        if found is None or found[0].identity != identity or found[1].muted == muted:
            return
        person = found[0]
        track = replace(found[1], muted=muted)
        tracks = tuple(track if one.id == track_id else one for one in person.tracks)
        self._people[identity] = replace(person, tracks=tracks)
        yield TrackMuted(identity, track, by_server) if muted else TrackUnmuted(identity, track)

    def is_same(self, person: ParticipantInfo) -> bool:
        """Somebody known, who has not left and come back since."""
        known = self._people.get(person.identity)
        return known is not None and known.joined_at == person.joined_at

    def match(self, person: ParticipantInfo) -> Iterator[MediaEvent]:
        """Somebody known is now as told: what happened while nothing was heard."""
        self.grant(person.identity, person.grant)
        yield from self.describe(person.identity, Profile(person.name, person.metadata, Attributes(person.attributes)))
        told = {track.id: track for track in person.tracks}
        for track in self._people[person.identity].tracks:
            if track.id not in told:
                yield from self.unpublish(person.identity, track.id)
            elif told.pop(track.id).muted != track.muted:
                yield from self.mute(person.identity, track.id, not track.muted, by_server=False)
        for track in told.values():
            yield from self.publish(person.identity, track)

    def clear(self) -> None:
        self._people.clear()
