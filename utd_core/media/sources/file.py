"""Sources that play a file. Reading and decoding happen in a thread, ahead of the reader."""

from __future__ import annotations

from collections.abc import Generator
from os import PathLike
from pathlib import Path
from typing import Self

from ..checks import check_path
from ..formats import AudioFormat, VideoFormat
from ..frames import AudioFrame, PixelFormat, VideoFrame, frame_size
from ..worker import Worker
from .base import AudioSourceBase, VideoSourceBase
from .decoding import decode_audio, decode_video, probe_video, read_wav, reading, wav_format
from .read_ahead import ReadAhead

AUDIO_AHEAD_MS = 5_000
VIDEO_AHEAD_BYTES = 4_000_000


class FileAudioSource(AudioSourceBase):
    """The sound of a file. `FileAudioSource.open(path)` makes one.

    An int16 PCM WAV file that already has the wanted rate and channels is read with the standard library alone;
    anything else needs `pip install "utd-core[av]"`, and is decoded and resampled. The last frame is filled up
    with silence.
    """

    def __init__(self, path: Path, ahead: ReadAhead[bytes], wanted: AudioFormat, frame_ms: int) -> None:
        super().__init__(wanted.sample_rate, wanted.channels, frame_ms)
        self.path = path
        self._ahead = ahead

    @classmethod
    async def open(
        cls,
        path: str | PathLike[str],
        *,
        sample_rate: int = 48_000,
        channels: int = 1,
        frame_ms: int = 20,
        loop: bool = False,
    ) -> Self:
        """Open the file and read its beginning. With `loop` it starts again at its end, for ever.

        Raises `InvalidInput` for a file that is missing, is no media or has no sound, and missing_extra when
        reading it needs PyAV.
        """
        file = check_path(path)
        wanted = AudioFormat(sample_rate, channels)
        frame_bytes = wanted.samples_in(frame_ms) * wanted.bytes_per_sample

        def frames() -> Generator[bytes]:
            with reading(file):
                plain = wav_format(file) == wanted
            return read_wav(file, frame_bytes) if plain else decode_audio(file, wanted, frame_bytes)

        ahead = ReadAhead(frames, batch=max(1, AUDIO_AHEAD_MS // frame_ms), loop=loop, name=file.name)
        await ahead.open()
        return cls(file, ahead, wanted, frame_ms)

    async def read(self) -> AudioFrame | None:
        data = await self._ahead.get()
        return None if data is None else self._stamp(data)

    async def aclose(self) -> None:
        await super().aclose()
        await self._ahead.aclose()


class FileVideoSource(VideoSourceBase):
    """The picture of a file, I420 at a constant rate. `FileVideoSource.open(path)` makes one.

    Needs `pip install "utd-core[av]"`. A file of varying rate plays at the right speed: pictures are repeated or
    left out. A rotation that the file asks of its player is not applied.
    """

    def __init__(self, path: Path, ahead: ReadAhead[bytes], wanted: VideoFormat) -> None:
        super().__init__(wanted.width, wanted.height, wanted.framerate)
        self.path = path
        self._ahead = ahead

    @classmethod
    async def open(
        cls,
        path: str | PathLike[str],
        *,
        width: int | None = None,
        height: int | None = None,
        framerate: float | None = None,
        loop: bool = False,
    ) -> Self:
        """Open the file and decode its beginning. With `loop` it starts again at its end, for ever.

        `width`, `height` (pixels) and `framerate` (1/s) are the file's own where they are not given; one side
        alone keeps the proportions. Raises `InvalidInput` for a file that is missing, is no media or has no
        picture, and missing_extra without PyAV.
        """
        file = check_path(path)
        # What is given must be right whatever the file is: 2 pixels and 30/s stand for what is not.
        VideoFormat(
            2 if width is None else width, 2 if height is None else height, 30.0 if framerate is None else framerate
        )
        probe = Worker(f"utd-probe-{file.name}")
        try:
            wanted = await probe.run(probe_video, file, width, height, framerate)
        finally:
            await probe.aclose()
        picture = frame_size(wanted.width, wanted.height, PixelFormat.I420)
        batch = max(1, min(round(wanted.framerate), VIDEO_AHEAD_BYTES // picture))
        ahead = ReadAhead(lambda: decode_video(file, wanted), batch=batch, loop=loop, name=file.name)
        await ahead.open()
        return cls(file, ahead, wanted)

    async def read(self) -> VideoFrame | None:
        data = await self._ahead.get()
        return None if data is None else self._stamp(data)

    async def aclose(self) -> None:
        await super().aclose()
        await self._ahead.aclose()
