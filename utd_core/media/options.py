"""How a track must be published to take what its source gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .backend import PublishOptions
from .sources.kinds import is_audio_source

if TYPE_CHECKING:
    from ..model.permission import TrackSource
    from .sources.base import AudioSource, VideoSource


def publish_options(source: AudioSource | VideoSource, track_source: TrackSource, *, name: str = "") -> PublishOptions:
    """The options with which a track must be published to take this source's frames."""
    if is_audio_source(source):
        return PublishOptions(track_source, name, sample_rate=source.sample_rate, channels=source.channels)
    return PublishOptions(track_source, name, width=source.width, height=source.height, framerate=source.framerate)
