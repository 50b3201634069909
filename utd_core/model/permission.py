"""A participant's permission on the media plane, per track source."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class TrackSource(StrEnum):
    """Where a track comes from; permissions are given per source."""

    MICROPHONE = "microphone"
    CAMERA = "camera"
    SCREEN_SHARE = "screen_share"
    SCREEN_SHARE_AUDIO = "screen_share_audio"


AudioTrackSource = Literal[TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE_AUDIO]
VideoTrackSource = Literal[TrackSource.CAMERA, TrackSource.SCREEN_SHARE]

AUDIO_SOURCES = frozenset({TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE_AUDIO})
VIDEO_SOURCES = frozenset({TrackSource.CAMERA, TrackSource.SCREEN_SHARE})


@dataclass(frozen=True, slots=True)
class Grant:
    """A participant's whole permission on the media plane; applying one replaces the one before."""

    subscribe: bool = True
    publish: frozenset[TrackSource] = frozenset()
    publish_data: bool = True

    @property
    def can_publish(self) -> bool:
        """At least one source may be published."""
        return bool(self.publish)
