"""Where a client's sound and pictures come from when the application names no source."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInput
from ..media.sources.base import AudioSource, AudioSourceBase, VideoSource, VideoSourceBase
from ..media.sources.synthetic import SilenceAudioSource
from ..model.permission import AUDIO_SOURCES, TrackSource

MediaSource = AudioSource | VideoSource

MicrophoneFactory = Callable[[], AudioSource | Awaitable[AudioSource]]
CameraFactory = Callable[[], VideoSource | Awaitable[VideoSource]]


@dataclass(frozen=True, slots=True)
class Devices:
    """Factories, plain or coroutine functions, called each time a device is opened.

    There is no hardware here: without more the microphone is silent, and there is no camera.
    """

    microphone: MicrophoneFactory = SilenceAudioSource
    camera: CameraFactory | None = None

    def check(self, source: TrackSource) -> None:
        """Raise `InvalidInput` when nothing can be opened for `source`."""
        if self._factory(source) is None:
            raise InvalidInput(
                f"there is no {source.value} to open; pass `source=`, or give the client a factory for it"
            )

    async def open(self, source: TrackSource) -> MediaSource:
        """A new source. Raises `InvalidInput` when there is none, and what the factory raises."""
        self.check(source)
        factory = self._factory(source)
        assert factory is not None
        made = factory()
        media = await made if inspect.isawaitable(made) else made
        check_media(source, media)
        return media

    def _factory(self, source: TrackSource) -> MicrophoneFactory | CameraFactory | None:
        if source is TrackSource.MICROPHONE:
            return self.microphone
        return self.camera if source is TrackSource.CAMERA else None


def check_media(source: TrackSource, media: Any) -> None:
    """Raise `InvalidInput` unless `media` can be published as `source`."""
    is_sound = source in AUDIO_SOURCES
    # The bases first: to check against a protocol takes thirty times as long.
    if isinstance(media, AudioSourceBase if is_sound else VideoSourceBase):
        return
    wanted, kind = (AudioSource, "an audio") if is_sound else (VideoSource, "a video")
    if not isinstance(media, wanted):
        raise InvalidInput(f"{source.value} takes {kind} source, got {type(media).__name__}")
