"""Encoding and muxing, blocking: what container sinks run in their thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import MediaError
from ..extras import needs_extra
from ..formats import AudioFormat, VideoFormat
from ..frames import AudioFrame, Frame, PixelFormat, VideoFrame
from .base import FileWriter, SinkStatistics, writing
from .timeline import Timeline

if TYPE_CHECKING:
    import av
    from av.audio.resampler import AudioResampler
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

VIDEO_CLOCK = 90_000
"""Ticks per second of video timestamps, as in RTP."""
_SILENCE_BLOCK = 48_000


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """The first of `names` that this FFmpeg has is used. `bitrate`: bit/s. `sample_rate`: Hz in the file."""

    names: tuple[str, ...]
    bitrate: int
    sample_rate: int


@dataclass(frozen=True, slots=True)
class VideoCodec:
    """The first of `names` that this FFmpeg has is used. `bitrate`: bit/s."""

    names: tuple[str, ...]
    bitrate: int


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
        self._options = dict(options or {})
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
            if self._wanted_audio is not None:
                self._audio = _AudioEncoder(self._container, *self._wanted_audio)
            if self._wanted_video is not None:
                self._video = _VideoEncoder(self._container, *self._wanted_video)
            self._container.start_encoding()

    def write(self, frames: list[Frame]) -> None:
        import av

        with writing(self._path, av.error.FFmpegError):
            for frame in frames:
                if isinstance(frame, AudioFrame):
                    assert self._audio is not None
                    self._audio.write(frame)
                else:
                    assert self._video is not None
                    self._video.write(frame)

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

    def statistics(self) -> SinkStatistics:
        frames = dropped = 0
        filled_ms = 0.0
        if self._audio is not None:
            timeline = self._audio.timeline
            frames, dropped = self._audio.frames, timeline.dropped
            filled_ms = timeline.filled * 1_000 / timeline.sample_rate
        if self._video is not None:
            frames, dropped = frames + self._video.frames, dropped + self._video.dropped
        return SinkStatistics(frames, filled_ms, dropped)


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
        self.timeline = Timeline(wanted.sample_rate)
        self.frames = 0

    def write(self, frame: AudioFrame) -> None:
        position = self.timeline.position
        silence = self.timeline.place(frame)
        if silence is None:
            return
        self.frames += 1
        while silence:
            block = min(silence, _SILENCE_BLOCK)
            self._encode(bytes(block * self._format.bytes_per_sample), position)
            silence, position = silence - block, position + block
        self._encode(frame.data, position)

    def flush(self) -> None:
        for packed in self._resampler.resample(None):
            self._container.mux(self._stream.encode(packed))
        self._container.mux(self._stream.encode(None))

    def _encode(self, data: bytes, position: int) -> None:
        import av

        samples = len(data) // self._format.bytes_per_sample
        raw = av.AudioFrame("s16", self._layout, samples)
        raw.planes[0].update(data.ljust(raw.planes[0].buffer_size, b"\0"))
        raw.sample_rate = self._format.sample_rate
        raw.time_base = Fraction(1, self._format.sample_rate)
        raw.pts = position
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
        self.frames = 0
        self.dropped = 0

    def write(self, frame: VideoFrame) -> None:
        at = round(frame.timestamp_us * VIDEO_CLOCK / 1_000_000)
        if at <= self._last:
            self.dropped += 1
            return
        self._last = at
        self.frames += 1
        picture = _picture(frame).reformat(self._format.width, self._format.height, "yuv420p")
        picture.pts = at
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
        except av.error.FFmpegError:
            continue
        return name
    raise MediaError(f"this build of PyAV has no encoder of {', '.join(names)}; install PyAV from its wheels")
