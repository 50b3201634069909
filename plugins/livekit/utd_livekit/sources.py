"""Track sources in the three ways in which LiveKit counts and spells them."""

from __future__ import annotations

from collections.abc import Mapping

from livekit import api, rtc

from utd_core.model.permission import TrackSource

SERVER_SOURCES: Mapping[TrackSource, int] = {
    TrackSource.MICROPHONE: api.TrackSource.MICROPHONE,
    TrackSource.CAMERA: api.TrackSource.CAMERA,
    TrackSource.SCREEN_SHARE: api.TrackSource.SCREEN_SHARE,
    TrackSource.SCREEN_SHARE_AUDIO: api.TrackSource.SCREEN_SHARE_AUDIO,
}
CLIENT_SOURCES: Mapping[TrackSource, rtc.TrackSource.ValueType] = {
    TrackSource.MICROPHONE: rtc.TrackSource.SOURCE_MICROPHONE,
    TrackSource.CAMERA: rtc.TrackSource.SOURCE_CAMERA,
    TrackSource.SCREEN_SHARE: rtc.TrackSource.SOURCE_SCREENSHARE,
    TrackSource.SCREEN_SHARE_AUDIO: rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO,
}
SOURCE_CLAIMS: Mapping[TrackSource, str] = {source: source.value for source in TrackSource}
"""As the token's claim `canPublishSources` spells them."""
NO_SOURCE = "none"
"""In that claim: a source of which there is no track. An empty list would let everything be published."""

FROM_SERVER: Mapping[int, TrackSource] = {number: source for source, number in SERVER_SOURCES.items()}
FROM_CLIENT: Mapping[int, TrackSource] = {number: source for source, number in CLIENT_SOURCES.items()}
