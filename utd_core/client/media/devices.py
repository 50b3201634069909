"""Where a participant's sound and pictures come from: the client's own devices, or what an operation is given.

    alice = engine.client("alice", microphone=open_microphone)        opened whenever a place to speak is taken
    await room.take_seat(microphone=jingle)                           this once, instead
    await room.set_microphone(True, other)                            from now on, instead

What an operation is given belongs to the session once the operation has returned: it is closed when it is published no
longer, or at once where there is nothing to publish it for (a seat whose audio is locked). When the operation raises,
what it did not publish is still the application's.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidInput
from ...media.sources.base import AudioSource, VideoSource
from ...media.sources.kinds import is_audio_source, is_video_source
from ...media.sources.synthetic import SilenceAudioSource
from ...model.permission import AUDIO_SOURCES, TrackSource

MediaSource = AudioSource | VideoSource

MicrophoneFactory = Callable[[], AudioSource | Awaitable[AudioSource]]
CameraFactory = Callable[[], VideoSource | Awaitable[VideoSource]]


@dataclass(frozen=True, slots=True)
class Devices:
    """Factories, plain or coroutine functions, called each time a device is opened. Raises `InvalidInput` for others.

    There is no hardware here: without more the microphone is silent, and there is no camera.
    """

    microphone: MicrophoneFactory = SilenceAudioSource
    camera: CameraFactory | None = None

    def check(self, source: TrackSource) -> None:
        """Raise `InvalidInput` when nothing can be opened for `source`."""
        if self._factory(source) is None:
            raise InvalidInput(
                f"there is no {source.value} to open; give a source to the method that opens it, "
                f"or a function that makes one to the client"
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


@dataclass(frozen=True, slots=True)
class Opening:
    """What an operation opens: `sources`, those of them that are given with what is given, the others with the client's
    devices.

    Raises `InvalidInput` for what is no source of that kind, or is given for a source that is not opened.
    """

    sources: tuple[TrackSource, ...]
    microphone: AudioSource | None = None
    camera: VideoSource | None = None

    def __post_init__(self) -> None:
        for source, media in self._given.items():
            check_media(source, media)
            if source not in self.sources:
                raise InvalidInput(f"no {source.value} is opened here; leave out `{source.value}=`")

    def check(self, devices: Devices) -> None:
        """Raise `InvalidInput` when a source is not given, and the client has no device for it."""
        for source in self.sources:
            if source not in self._given:
                devices.check(source)

    async def without(self, source: TrackSource) -> Opening:
        """The same without a source; what was given for it is closed."""
        media = self._given.get(source)
        if media is not None:
            await media.aclose()
        return Opening(
            tuple(each for each in self.sources if each is not source),
            None if source is TrackSource.MICROPHONE else self.microphone,
            None if source is TrackSource.CAMERA else self.camera,
        )

    async def aclose(self) -> None:
        """Close what is given. Idempotent."""
        for media in self._given.values():
            await media.aclose()

    @property
    def _given(self) -> dict[TrackSource, MediaSource]:
        given = {TrackSource.MICROPHONE: self.microphone, TrackSource.CAMERA: self.camera}
        return {source: media for source, media in given.items() if media is not None}


def check_no_media(source: TrackSource, media: object) -> None:
    """Raise `InvalidInput` for something to publish where publishing ends."""
    if media is not None:
        raise InvalidInput(f"switching the {source.value} off takes no source")


def check_media(source: TrackSource, media: Any) -> None:
    """Raise `InvalidInput` unless `media` can be published as `source`."""
    is_right, kind = (is_audio_source, "an audio") if source in AUDIO_SOURCES else (is_video_source, "a video")
    if not is_right(media):
        raise InvalidInput(f"{source.value} takes {kind} source, got {type(media).__name__}")
