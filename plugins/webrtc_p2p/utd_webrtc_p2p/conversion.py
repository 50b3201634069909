"""Frames of this package to and from those of PyAV. Sound on its way is in pieces of 20 ms at 48 kHz."""

from __future__ import annotations

import fractions

import av
from av.video.plane import VideoPlane

from utd_core.media.frames import AudioFrame, PixelFormat, VideoFrame
from utd_core.media.pcm import PcmSlicer

from .capabilities import SAMPLE_RATE
from .opus import LAYOUTS, PIECE_SAMPLES

VIDEO_CLOCK = 90_000
"""Ticks of a video timestamp per second."""

VIDEO_TIME_BASE = fractions.Fraction(1, VIDEO_CLOCK)

_FORMATS = {PixelFormat.I420: "yuv420p", PixelFormat.RGBA: "rgba"}


class SoundCutter:
    """Sound of one shape into pieces of 20 ms at 48 kHz, with the channels that it has."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._slicer = PcmSlicer(PIECE_SAMPLES * channels * 2)
        self._resampler = None
        if sample_rate != SAMPLE_RATE:
            self._resampler = av.AudioResampler("s16", LAYOUTS[channels], SAMPLE_RATE)

    def cut(self, frame: AudioFrame) -> list[bytes]:
        """The pieces that are complete with this frame."""
        if self._resampler is None:
            return self._slicer.push(frame.data)
        pieces: list[bytes] = []
        for resampled in self._resampler.resample(_sound(frame)):
            pieces += self._slicer.push(_pcm(resampled))
        return pieces


def sound_in(frame: av.AudioFrame, timestamp_us: int) -> AudioFrame:
    """A decoded frame; the codecs of aiortc give 16 bit."""
    return AudioFrame(_pcm(frame), frame.sample_rate, len(frame.layout.channels), timestamp_us)


def picture_out(frame: VideoFrame, pts: int) -> av.VideoFrame:
    """A picture for the encoder. `pts`: ticks of 1/90000 s."""
    picture = av.VideoFrame(frame.width, frame.height, _FORMATS[frame.format])
    rgba = frame.format is PixelFormat.RGBA
    for plane, data in zip(picture.planes, frame.planes, strict=True):
        _fill(plane, data, plane.width * 4 if rgba else plane.width)
    picture.pts = pts
    picture.time_base = VIDEO_TIME_BASE
    return picture


def picture_in(frame: av.VideoFrame, timestamp_us: int) -> VideoFrame:
    """A decoded picture, in I420 with even sides: an odd last row or column is left out."""
    width, height = frame.width - frame.width % 2, frame.height - frame.height % 2
    if frame.format.name != "yuv420p" or (width, height) != (frame.width, frame.height):
        frame = frame.reformat(width, height, "yuv420p")
    data = b"".join(_packed(plane) for plane in frame.planes)
    return VideoFrame(data, width, height, timestamp_us=timestamp_us)


def _sound(frame: AudioFrame) -> av.AudioFrame:
    sound = av.AudioFrame(format="s16", layout=LAYOUTS[frame.channels], samples=frame.samples_per_channel)
    sound.planes[0].update(frame.data.ljust(sound.planes[0].buffer_size, b"\0"))
    sound.sample_rate = frame.sample_rate
    return sound


def _pcm(frame: av.AudioFrame) -> bytes:
    # The buffer of a plane is longer than its samples.
    return bytes(memoryview(frame.planes[0])[: frame.samples * len(frame.layout.channels) * 2])


def _fill(plane: VideoPlane, data: memoryview, row: int) -> None:
    """Rows of `row` bytes into a plane, whose rows may be longer."""
    if plane.line_size == row:
        plane.update(data)  # type: ignore[arg-type]  # any buffer will do, in spite of what is declared
        return
    target = memoryview(plane).cast("B")
    for number in range(plane.height):
        start = number * plane.line_size
        target[start : start + row] = data[number * row : (number + 1) * row]


def _packed(plane: VideoPlane) -> memoryview | bytes:
    """A plane without the padding at the end of its rows."""
    data = memoryview(plane).cast("B")
    width, step = plane.width, plane.line_size
    if step == width:
        return data[: width * plane.height]
    return b"".join([data[start : start + width] for start in range(0, plane.height * step, step)])
