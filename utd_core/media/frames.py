"""Frames: the unit of media that sources make, backends carry and sinks take.

Audio is interleaved signed 16-bit little-endian PCM. Video is 8-bit I420 (planar YUV 4:2:0) or RGBA.
A frame checks its own shape, so a wrong one fails where it is made and never inside a backend.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..errors import InvalidFrame

SAMPLE_RATES = frozenset({8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000})
BYTES_PER_SAMPLE = 2
MAX_CHANNELS = 2
MAX_AUDIO_FRAME_MS = 1_000
MAX_VIDEO_SIDE = 8_192
_BAD_TIMESTAMP = "timestamp_us must be whole microseconds since the start of the track, got {!r}"


class PixelFormat(StrEnum):
    """I420: full-size Y plane, then U and V of half width and height. RGBA: 4 bytes a pixel."""

    I420 = "i420"
    RGBA = "rgba"


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """`data`: int16 little-endian interleaved PCM. `sample_rate`: Hz. `timestamp_us`: microseconds since
    the start of the track, of the frame's first sample.

    Raises `InvalidFrame` when rate, channels or length do not fit together.
    """

    data: bytes
    sample_rate: int
    channels: int = 1
    timestamp_us: int = 0

    def __post_init__(self) -> None:
        # Runs for every frame of every track: locals, and no call that is not needed.
        data, rate, channels, timestamp_us = self.data, self.sample_rate, self.channels, self.timestamp_us
        if type(rate) is not int or rate not in SAMPLE_RATES:
            raise InvalidFrame(f"sample_rate {rate!r} Hz is not one of {sorted(SAMPLE_RATES)}; resample first")
        if type(channels) is not int or not 1 <= channels <= MAX_CHANNELS:
            raise InvalidFrame(f"channels must be 1 or {MAX_CHANNELS}, got {channels!r}; mix down first")
        if type(data) is not bytes:
            raise InvalidFrame(f"audio data must be bytes of int16 PCM, got {type(data).__name__}")
        size, step = len(data), BYTES_PER_SAMPLE * channels
        if not size or size % step:
            raise InvalidFrame(f"audio data must hold whole samples of {step} bytes, got {size} bytes")
        if size > step * rate * MAX_AUDIO_FRAME_MS // 1_000:
            raise InvalidFrame(f"an audio frame holds at most {MAX_AUDIO_FRAME_MS} ms; split it")
        if type(timestamp_us) is not int or timestamp_us < 0:
            raise InvalidFrame(_BAD_TIMESTAMP.format(timestamp_us))

    @property
    def samples_per_channel(self) -> int:
        return len(self.data) // (BYTES_PER_SAMPLE * self.channels)

    @property
    def duration_us(self) -> int:
        return self.samples_per_channel * 1_000_000 // self.sample_rate


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """`data`: the planes, packed one after the other without padding. `timestamp_us`: microseconds since
    the start of the track.

    Raises `InvalidFrame` when size, format and length do not fit together (I420 wants even sides).
    """

    data: bytes
    width: int
    height: int
    format: PixelFormat = PixelFormat.I420
    timestamp_us: int = 0

    def __post_init__(self) -> None:
        for side in (self.width, self.height):
            if type(side) is not int or not 0 < side <= MAX_VIDEO_SIDE:
                raise InvalidFrame(
                    f"width and height must be 1 to {MAX_VIDEO_SIDE}, got {self.width!r}x{self.height!r}"
                )
        if type(self.format) is not PixelFormat:
            raise InvalidFrame(f"format must be PixelFormat.I420 or PixelFormat.RGBA, got {self.format!r}")
        if self.format is PixelFormat.I420 and (self.width % 2 or self.height % 2):
            raise InvalidFrame(f"I420 needs even sides, got {self.width}x{self.height}; crop or use RGBA")
        if type(self.data) is not bytes:
            raise InvalidFrame(f"video data must be bytes, got {type(self.data).__name__}")
        expected = frame_size(self.width, self.height, self.format)
        if len(self.data) != expected:
            raise InvalidFrame(
                f"{self.format} {self.width}x{self.height} takes {expected} bytes, got {len(self.data)}; remove padding"
            )
        if type(self.timestamp_us) is not int or self.timestamp_us < 0:
            raise InvalidFrame(_BAD_TIMESTAMP.format(self.timestamp_us))

    @property
    def planes(self) -> tuple[memoryview, ...]:
        """(Y, U, V) for I420, (RGBA,) for RGBA; views, nothing is copied."""
        view = memoryview(self.data)
        if self.format is PixelFormat.RGBA:
            return (view,)
        luma = self.width * self.height
        chroma = luma // 4
        return view[:luma], view[luma : luma + chroma], view[luma + chroma :]


Frame = AudioFrame | VideoFrame


def frame_size(width: int, height: int, format: PixelFormat) -> int:
    """Bytes of one video frame."""
    return width * height * 4 if format is PixelFormat.RGBA else width * height * 3 // 2
