"""Whose mute a mute is, and who was removed.

LiveKit tells that a track is muted and not by whom. So the control half writes a word into the publisher's attributes
before it mutes, which participants themselves may not change: a mute that comes with a new word is the server's.

A ticket of LiveKit lets somebody in as often as he likes until it ends, and the SDK of somebody who was removed may
take that for a lost connection and use it again. So a ticket says when it was issued, and one from before a removal is
no good.
"""

from __future__ import annotations

from collections.abc import Mapping

from livekit import api

_PREFIX = "utd.muted."


def mute_attribute(track_id: str) -> str:
    """The attribute that changes with each mute of this track by the server."""
    return _PREFIX + track_id


class MuteWords:
    """The words of one track that were taken for what they mean."""

    def __init__(self, track_id: str, attributes: Mapping[str, str]) -> None:
        self._attribute = mute_attribute(track_id)
        self._taken = attributes.get(self._attribute)

    def is_by_server(self, attributes: Mapping[str, str]) -> bool:
        """Whether a mute that is seen now is the server's; asked once for each mute."""
        word = attributes.get(self._attribute)
        is_new = bool(word) and word != self._taken
        self._taken = word
        return is_new


_ISSUED = "utd.issued"
_REMEMBERED = 10_000


class Removals:
    """Who was removed from which room, and when (seconds since the Unix epoch); the newest of them."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], float] = {}

    @staticmethod
    def attributes(now: float) -> dict[str, str]:
        """What a ticket that is issued now says of it."""
        return {_ISSUED: repr(now)}

    def remember(self, room: str, identity: str, now: float) -> None:
        """Somebody is removed."""
        self._at.pop((room, identity), None)
        self._at[room, identity] = now
        if len(self._at) > _REMEMBERED:
            del self._at[next(iter(self._at))]

    def is_back(self, room: str, participant: api.ParticipantInfo) -> bool:
        """Whether this participant came with a ticket from before the removal."""
        removed = self._at.get((room, participant.identity))
        if removed is None:
            return False
        try:
            return float(participant.attributes[_ISSUED]) < removed
        except (KeyError, ValueError):
            return False
