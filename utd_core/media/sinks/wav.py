"""WAV files with the standard library alone."""

from __future__ import annotations

import wave
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Self

from ...errors import TooLarge
from ..checks import check_path
from ..formats import AudioFormat
from ..frames import BYTES_PER_SAMPLE, Frame
from .base import FileSink, FileWriter, Placed, check_audio, writing

LARGEST_WAV_BYTES = 2**32 - 1_024
_SILENCE_BLOCK = 48_000


class WavSink(FileSink):
    """An int16 PCM WAV file. `WavSink.open(path)` makes one.

    Frames are placed by their timestamps: missing sound is silence, so the timing is right. The header is true
    after every half second, so a file whose writer was killed can be read up to there.
    """

    def __init__(self, path: Path, wanted: AudioFormat) -> None:
        super().__init__(path, _WavWriter(path, wanted), wanted.sample_rate)
        self.format = wanted

    @classmethod
    async def open(cls, path: str | PathLike[str], *, sample_rate: int = 48_000, channels: int = 1) -> Self:
        """Create the file, replacing one that is there.

        Raises `InvalidInput` for a format that no frame has, `MediaError` when the file cannot be made.
        """
        return await cls(check_path(path), AudioFormat(sample_rate, channels))._open()

    def _check(self, frame: Frame) -> None:
        check_audio(frame, self.format, self.path.name)


class _WavWriter(FileWriter):
    def __init__(self, path: Path, wanted: AudioFormat) -> None:
        self._path = path
        self._format = wanted
        self._file: BinaryIO | None = None
        self._wave: wave.Wave_write | None = None

    def open(self) -> None:
        with writing(self._path):
            self._file = self._path.open("wb")
            self._wave = wave.open(self._file, "wb")  # noqa: SIM115  # closed by close()
            self._wave.setnchannels(self._format.channels)
            self._wave.setsampwidth(BYTES_PER_SAMPLE)
            self._wave.setframerate(self._format.sample_rate)
            self._append(b"")
            self._file.flush()

    def write(self, frames: list[Placed]) -> None:
        with writing(self._path):
            try:
                for placed in frames:
                    self._append_silence(placed.silence)
                    self._append(placed.frame.data)
            finally:
                self._patch_header()

    def close(self) -> None:
        with writing(self._path):
            try:
                if self._wave is not None:
                    self._wave.close()
            finally:
                if self._file is not None:
                    self._file.close()

    def _append_silence(self, samples: int) -> None:
        while samples:
            block = min(samples, _SILENCE_BLOCK)
            self._append(bytes(block * self._format.bytes_per_sample))
            samples -= block

    def _append(self, data: bytes) -> None:
        assert self._wave is not None
        if self._wave.tell() * self._format.bytes_per_sample + len(data) > LARGEST_WAV_BYTES:
            raise TooLarge(f"{self._path} holds 4 GiB, which is all a WAV file can; go on in another file")
        self._wave.writeframesraw(data)

    def _patch_header(self) -> None:
        """Make the lengths in the header true; `wave` does so whenever frames are written not 'raw'."""
        assert self._wave is not None
        assert self._file is not None
        self._wave.writeframes(b"")
        self._file.flush()
