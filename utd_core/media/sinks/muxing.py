"""Encoding and muxing, blocking: what container sinks run in their thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidInput, MediaError
from ..extras import needs_extra
from ..formats import AudioFormat, VideoFormat
from ..frames import AudioFrame, PixelFormat, VideoFrame
from .base import FileWriter, Placed, writing

if TYPE_CHECKING:
    import av
    from av.audio.resampler import AudioResampler
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

VIDEO_CLOCK = 60_000
"""Ticks per second of video timestamps: whole for all usual rates, and not too many for MPEG-4 part 2."""
LOWEST_BITRATE, HIGHEST_BITRATE = 6_000, 100_000_000
_SILENCE_BLOCK = 48_000


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """The first of `names` that this FFmpeg has is used. `bitrate`: bit/s. `sample_rate`: Hz in the file."""

    names: tuple[str, ...]
    bitrate: int
    sample_rate: int

    def __post_init__(self) -> None:
        _check_bitrate(self.bitrate)


@dataclass(frozen=True, slots=True)
class VideoCodec:
    """The first of `names` that this FFmpeg has is used. `bitrate`: bit/s."""

    names: tuple[str, ...]
    bitrate: int

    def __post_init__(self) -> None:
        _check_bitrate(self.bitrate)


def _check_bitrate(value: object) -> None:
    if type(value) is not int or not LOWEST_BITRATE <= value <= HIGHEST_BITRATE:
        raise InvalidInput(f"a bit rate must be {LOWEST_BITRATE} to {HIGHEST_BITRATE} bit/s, got {value!r}")


class MediaWriter(FileWriter):
    """At most one audio and one video stream in one container."""

    def __init__(
        self,
        path: Path,
        container_format: str,
        *,
        audio: tuple[AudioFormat, AudioCodec] | None = None,
        video: tuple[VideoFormat, VideoCodec] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._path = path
        self._container_format = container_format
        # FFmpeg would keep the last 32 KB to itself, which a killed process takes along.
        self._options = {"flush_packets": "1", **(options or {})}
        self._wanted_audio = audio
        self._wanted_video = video
        self._container: OutputContainer | None = None
        self._audio: _AudioEncoder | None = None
        self._video: _VideoEncoder | None = None

    def open(self) -> None:
        with needs_extra(f"writing {self._container_format} files"):
            import av
        with writing(self._path, av.error.FFmpegError):
            self._container = av.open(
                f"file:{self._path}", "w", format=self._container_format, container_options=self._options
            )
            audio = _AudioEncoder(self._container, *self._wanted_audio) if self._wanted_audio else None
            video = _VideoEncoder(self._container, *self._wanted_video) if self._wanted_video else None
            self._container.start_encoding()
        # Only what was started is flushed at the end.
        self._audio, self._video = audio, video

    def write(self, frames: list[Placed]) -> None:
        import av

        with writing(self._path, av.error.FFmpegError):
            for placed in frames:
                if isinstance(placed.frame, AudioFrame):
                    assert self._audio is not None
                    self._audio.write(placed.frame.data, placed.silence)
                else:
                    assert self._video is not None
                    self._video.write(placed.frame)

    def close(self) -> None:
        if self._container is None:
            return
        import av

        with writing(self._path, av.error.FFmpegError):
            try:
                for encoder in (self._audio, self._video):
                    if encoder is not None:
                        encoder.flush()
            finally:
                self._container.close()


class _AudioEncoder:
    def __init__(self, container: OutputContainer, wanted: AudioFormat, codec: AudioCodec) -> None:
        import av

        layout = "mono" if wanted.channels == 1 else "stereo"
        stream: AudioStream = container.add_stream(_available(codec.names), rate=codec.sample_rate)  # type: ignore[assignment]  # an audio codec's name gives an audio stream
        stream.layout = layout
        stream.bit_rate = codec.bitrate
        stream.codec_context.open()
        self._container = container
        self._stream = stream
        self._format = wanted
        self._layout = layout
        self._resampler: AudioResampler = av.AudioResampler(
            stream.format, layout, codec.sample_rate, stream.codec_context.frame_size or None
        )
        self._position = 0

    def write(self, data: bytes, silence: int) -> None:
        while silence:
            block = min(silence, _SILENCE_BLOCK)
            self._encode(bytes(block * self._format.bytes_per_sample))
            silence -= block
        self._encode(data)

    def flush(self) -> None:
        for packed in self._resampler.resample(None):
            self._container.mux(self._stream.encode(packed))
        self._container.mux(self._stream.encode(None))

    def _encode(self, data: bytes) -> None:
        import av

        samples = len(data) // self._format.bytes_per_sample
        raw = av.AudioFrame("s16", self._layout, samples)
        raw.planes[0].update(data.ljust(raw.planes[0].buffer_size, b"\0"))
        raw.sample_rate = self._format.sample_rate
        raw.time_base = Fraction(1, self._format.sample_rate)
        raw.pts = self._position
        self._position += samples
        for packed in self._resampler.resample(raw):
            self._container.mux(self._stream.encode(packed))


class _VideoEncoder:
    def __init__(self, container: OutputContainer, wanted: VideoFormat, codec: VideoCodec) -> None:
        name = _available(codec.names)
        rate = Fraction(wanted.framerate).limit_denominator(1_001)
        stream: VideoStream = container.add_stream(name, rate=rate)  # type: ignore[assignment]  # a video codec's name gives a video stream
        stream.width, stream.height = wanted.width, wanted.height
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = codec.bitrate
        stream.codec_context.time_base = Fraction(1, VIDEO_CLOCK)
        # A key frame about every second, where a fragment of the file can end.
        stream.gop_size = max(1, round(wanted.framerate))
        if name == "libx264":
            stream.options = {"preset": "veryfast"}
        self._container = container
        self._stream = stream
        self._format = wanted
        self._last = -1

    def write(self, frame: VideoFrame) -> None:
        # Two pictures less than a tick apart must not have one time.
        self._last = max(self._last + 1, round(frame.timestamp_us * VIDEO_CLOCK / 1_000_000))
        picture = _picture(frame).reformat(self._format.width, self._format.height, "yuv420p")
        picture.pts = self._last
        picture.time_base = Fraction(1, VIDEO_CLOCK)
        self._container.mux(self._stream.encode(picture))

    def flush(self) -> None:
        self._container.mux(self._stream.encode(None))


def _picture(frame: VideoFrame) -> av.VideoFrame:
    """PyAV's frame of the same picture; its rows may be longer than ours."""
    import av

    picture = av.VideoFrame(frame.width, frame.height, "yuv420p" if frame.format is PixelFormat.I420 else "rgba")
    for plane, packed in zip(picture.planes, frame.planes, strict=True):
        rows = plane.height
        row, padded = len(packed) // rows, plane.line_size
        if row == padded:
            plane.update(bytes(packed))
        else:
            padding = bytes(padded - row)
            plane.update(b"".join(bytes(packed[n * row : n * row + row]) + padding for n in range(rows)))
    return picture


def _available(names: tuple[str, ...]) -> str:
    import av

    for name in names:
        try:
            av.Codec(name, "w")
        except (av.error.FFmpegError, ValueError):  # ValueError: a name that this build does not know
            continue
        return name
    raise MediaError(f"this build of PyAV has no encoder of {', '.join(names)}; install PyAV from its wheels")
