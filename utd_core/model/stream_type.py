"""The four products, with their wire values."""

from __future__ import annotations

from enum import StrEnum


class UTDStreamType(StrEnum):
    AUDIO_CALL = "audio_call"
    VIDEO_CALL = "video_call"
    LIVE_STREAM = "live_stream"
    AUDIO_ROOM = "audio_room"

    @property
    def is_call(self) -> bool:
        return self in (UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL)

    @property
    def has_video(self) -> bool:
        return self in (UTDStreamType.VIDEO_CALL, UTDStreamType.LIVE_STREAM)
