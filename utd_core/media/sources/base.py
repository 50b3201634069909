"""What a source is, and what the sources here share."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Generic, Protocol, Self, TypeVar, runtime_checkable

from ...concurrency import Closeable
from ...errors import Closed, InvalidInput
from ..checks import is_number
from ..formats import AudioFormat, VideoFormat
from ..frames import AudioFrame, VideoFrame

FrameT = TypeVar("FrameT", AudioFrame, VideoFrame)


@runtime_checkable
class AudioSource(Protocol):
    """Audio frames of one rate, channel count and length. One reader at a time."""

    @property
    def sample_rate(self) -> int:
        """Hz."""

    @property
    def channels(self) -> int:
        """1 or 2."""

    @property
    def frame_ms(self) -> int:
        """Length of every frame, ms."""

    async def read(self) -> AudioFrame | None:
        """The next frame, None at the end. Timestamps start at 0 and go on by the frame's length.

        Raises `Closed` after `aclose()`, also when it was waiting.
        """

    async def aclose(self) -> None:
        """Let go of files, threads and buffers. Idempotent."""


@runtime_checkable
class VideoSource(Protocol):
    """Video frames of one size and rate. One reader at a time."""

    @property
    def width(self) -> int:
        """Pixels."""

    @property
    def height(self) -> int:
        """Pixels."""

    @property
    def framerate(self) -> float:
        """Frames per second."""

    async def read(self) -> VideoFrame | None:
        """The next frame, None at the end. Timestamps start at 0 and go on by 1/framerate.

        Raises `Closed` after `aclose()`, also when it was waiting.
        """

    async def aclose(self) -> None:
        """Let go of files, threads and buffers. Idempotent."""


class SourceBase(Closeable, Generic[FrameT]):
    """A source is an async context manager and an async iterator over its frames."""

    _closed = False

    @abstractmethod
    async def read(self) -> FrameT | None:
        """The next frame, None at the end. Raises `Closed` after `aclose()`."""

    async def aclose(self) -> None:
        """Let go of what the source holds. Idempotent."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Closed(f"this {type(self).__name__} was closed; make a new one")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FrameT:
        frame = await self.read()
        if frame is None:
            raise StopAsyncIteration
        return frame


class AudioSourceBase(SourceBase[AudioFrame]):
    """Fixed format, and timestamps counted in samples."""

    def __init__(self, sample_rate: int, channels: int, frame_ms: int) -> None:
        self.format = AudioFormat(sample_rate, channels)
        self.sample_rate = sample_rate
        self.channels = channels
        self.frame_ms = frame_ms
        self.samples_per_frame = self.format.samples_in(frame_ms)
        self.frame_bytes = self.samples_per_frame * self.format.bytes_per_sample
        self._position = 0

    def _stamp(self, data: bytes) -> AudioFrame:
        """The next frame of the stream."""
        timestamp_us = self._position * 1_000_000 // self.sample_rate
        self._position += self.samples_per_frame
        return AudioFrame(data, self.sample_rate, self.channels, timestamp_us)


class VideoSourceBase(SourceBase[VideoFrame]):
    """Fixed format, and timestamps counted in frames."""

    def __init__(self, width: int, height: int, framerate: float) -> None:
        self.format = VideoFormat(width, height, framerate)
        self.width = width
        self.height = height
        self.framerate = framerate
        self._position = 0

    def _stamp(self, data: bytes) -> VideoFrame:
        """The next frame of the stream, from I420 planes."""
        timestamp_us = self._next_timestamp()
        return VideoFrame(data, self.width, self.height, timestamp_us=timestamp_us)

    def _next_timestamp(self) -> int:
        timestamp_us = round(self._position * 1_000_000 / self.framerate)
        self._position += 1
        return timestamp_us


def frames_in(seconds: float | None, frames_per_second: float) -> float:
    """How many frames cover `seconds`, rounded up; infinitely many for None. Raises `InvalidInput`."""
    if seconds is None:
        return math.inf
    if not is_number(seconds) or seconds < 0:
        raise InvalidInput(f"seconds must be 0 or more, or None for no end, got {seconds!r}")
    # 0.1 s at 50 frames/s is five frames, not six, although 0.1 * 50 may come out as 5.000000000000001.
    return math.ceil(round(seconds * frames_per_second, 6))
