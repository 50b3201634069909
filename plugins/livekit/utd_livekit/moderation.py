"""Whose mute a mute is.

LiveKit tells that a track is muted and not by whom. So the control half writes a word into the publisher's attributes
before it mutes, which participants themselves may not change: a mute that comes with a new word is the server's.
"""

from __future__ import annotations

from collections.abc import Mapping

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
