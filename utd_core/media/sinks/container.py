"""Ogg and MP4 files, encoded with PyAV (`pip install "utd-core[av]"`)."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Self

from ...errors import InvalidFrame, InvalidInput
from ..checks import check_path
from ..formats import AudioFormat, VideoFormat
from ..frames import AudioFrame, Frame
from .base import FileSink, check_audio
from .muxing import AudioCodec, MediaWriter, VideoCodec


class OggSink(FileSink):
    """Ogg with Opus at 48 kHz. `OggSink.open(path)` makes one. Missing sound is silence, so the timing is right."""

    def __init__(self, path: Path, wanted: AudioFormat, bitrate: int) -> None:
        writer = MediaWriter(path, "ogg", audio=(wanted, AudioCodec(("libopus",), bitrate, 48_000)))
        super().__init__(path, writer, wanted.sample_rate)
        self.format = wanted

    @classmethod
    async def open(
        cls, path: str | PathLike[str], *, sample_rate: int = 48_000, channels: int = 1, bitrate: int = 64_000
    ) -> Self:
        """Create the file, replacing one that is there. `bitrate`: bit/s.

        Raises `InvalidInput` for a format that no frame has, `MediaError` when the file cannot be made and
        missing_extra without PyAV.
        """
        return await cls(check_path(path), AudioFormat(sample_rate, channels), bitrate)._open()

    def _check(self, frame: Frame) -> None:
        check_audio(frame, self.format, self.path.name)


class Mp4Sink(FileSink):
    """MP4 with H.264 and AAC. `Mp4Sink.open(path, ...)` makes one.

    Sound and picture share the time line that starts at timestamp 0, so two `record()`s with one origin are in
    step. Pictures of another size (simulcast, adaptive stream) are scaled to the declared one. The file is made
    of fragments of about one second, so it can be played up to the last one whatever happens to its writer.
    """

    def __init__(
        self, path: Path, audio: AudioFormat | None, video: VideoFormat | None, audio_bitrate: int, video_bitrate: int
    ) -> None:
        rate = (audio or AudioFormat()).sample_rate
        writer = MediaWriter(
            path,
            "mp4",
            audio=(audio, AudioCodec(("aac",), audio_bitrate, rate)) if audio else None,
            # MPEG-4 part 2 is what every build of FFmpeg has.
            video=(video, VideoCodec(("libx264", "libopenh264", "mpeg4"), video_bitrate)) if video else None,
            options={"movflags": "+frag_keyframe+delay_moov+default_base_moof", "frag_duration": "1000000"},
        )
        super().__init__(path, writer, rate)
        self.audio = audio
        self.video = video

    @classmethod
    async def open(
        cls,
        path: str | PathLike[str],
        *,
        audio: AudioFormat | None = None,
        video: VideoFormat | None = None,
        audio_bitrate: int = 96_000,
        video_bitrate: int = 1_500_000,
    ) -> Self:
        """Create the file with the given streams, at least one. Bit rates are bit/s.

        Raises `InvalidInput` without a stream, `MediaError` when the file cannot be made and missing_extra
        without PyAV.
        """
        if audio is None and video is None:
            raise InvalidInput("an MP4 file needs a stream: give audio=AudioFormat(), video=VideoFormat() or both")
        return await cls(check_path(path), audio, video, audio_bitrate, video_bitrate)._open()

    def _check(self, frame: Frame) -> None:
        if isinstance(frame, AudioFrame):
            if self.audio is None:
                raise InvalidFrame(f"{self.path.name} was opened without sound; open it with audio=AudioFormat()")
            check_audio(frame, self.audio, self.path.name)
        elif self.video is None:
            raise InvalidFrame(f"{self.path.name} was opened without a picture; open it with video=VideoFormat()")
