"""Everybody in a room as the application sees them: who they are, whether they speak, and how well they are connected.

What the connection knows of people and what its events tell beside that are put together here. Somebody whom nothing
new is known of stays the same object, so that a thousand listeners cost nothing while one person speaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...media.events import (
    ConnectionQuality,
    MediaEvent,
    ParticipantInfo,
    ParticipantLeft,
    QualityChanged,
    Speaker,
    SpeakersChanged,
)
from ...media.sinks.level import FLOOR_DBFS
from ..models import Participant

_CLEARLY_LOUDER = 6.0
"""dB by which somebody takes the first place from another who still speaks."""


class Roster:
    """`take` each event, `refresh` after several. Without a connection nobody is there: `clear`."""

    def __init__(self) -> None:
        self.speakers: tuple[Speaker, ...] = ()
        """Who speaks, loudest first, this participant itself included."""
        self.dominant: str | None = None
        """Who of them has the first place: until silent, or until another is clearly louder."""
        self._people: dict[str, Participant] = {}
        self._infos: dict[str, ParticipantInfo] = {}
        self._levels: dict[str, float] = {}
        self._qualities: dict[str, ConnectionQuality] = {}
        self._stale: set[str] = set()

    @property
    def people(self) -> Mapping[str, Participant]:
        """The others, by identity."""
        return MappingProxyType(self._people)

    def take(self, event: MediaEvent) -> bool:
        """Take over an event; whether the speakers are others now."""
        match event:
            case SpeakersChanged(speakers):
                return self._speak(speakers)
            case QualityChanged(identity, quality):
                self._qualities[identity] = quality
                self._stale.add(identity)
            case ParticipantLeft(identity):
                self._qualities.pop(identity, None)
                if identity in self._levels:
                    return self._speak(tuple(one for one in self.speakers if one.identity != identity))
            case _:
                pass
        return False

    def refresh(self, participants: Mapping[str, ParticipantInfo]) -> tuple[Participant, ...]:
        """The others as they are now."""
        people, infos = {}, {}
        for identity, info in participants.items():
            known = self._people.get(identity)
            if known is None or identity in self._stale or self._infos[identity] is not info:
                known = self.describe(info)
            people[identity], infos[identity] = known, info
        self._people, self._infos = people, infos
        self._stale.clear()
        return tuple(people.values())

    def describe(self, info: ParticipantInfo) -> Participant:
        """A participant, with what is known of it beside."""
        identity = info.identity
        return Participant(
            identity,
            info.name,
            info.grant,
            info.tracks,
            info.joined_at,
            info.devices,
            info.metadata,
            info.attributes,
            speaking=identity in self._levels,
            level=self._levels.get(identity, FLOOR_DBFS),
            quality=self._qualities.get(identity),
        )

    def clear(self) -> None:
        """Nobody is there."""
        self._speak(())
        for known in (self._people, self._infos, self._qualities, self._stale):
            known.clear()

    def _speak(self, speakers: tuple[Speaker, ...]) -> bool:
        if speakers == self.speakers:
            return False
        levels = {speaker.identity: speaker.level for speaker in speakers}
        self._stale |= self._levels.keys() | levels.keys()
        self.speakers, self._levels = speakers, levels
        self.dominant = _dominant(self.dominant, speakers)
        return True


def _dominant(before: str | None, speakers: tuple[Speaker, ...]) -> str | None:
    if not speakers:
        return None
    loudest = speakers[0]
    for speaker in speakers:
        if speaker.identity == before and loudest.level - speaker.level < _CLEARLY_LOUDER:
            return before
    return loudest.identity
