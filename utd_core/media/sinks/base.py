"""What a sink is, and the half of a file sink that runs on the event loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from ...concurrency import Closeable
from ...errors import Closed, InvalidFrame, MediaError
from ..formats import AudioFormat
from ..frames import AudioFrame, Frame
from ..worker import Worker
from .timeline import Timeline


class Sink(Protocol):
    """Takes frames. Timestamp 0 is the beginning of what it makes; `record` restamps frames so."""

    async def write(self, frame: Frame) -> None:
        """Take a frame. Raises `InvalidFrame` for one it cannot take, `Closed` after `aclose()`."""

    async def aclose(self) -> None:
        """Finish. Idempotent."""


@dataclass(frozen=True, slots=True)
class SinkStatistics:
    """`frames`: taken. `filled_ms`: silence put where audio was missing. `dropped`: frames that came twice or
    too late for their place."""

    frames: int = 0
    filled_ms: float = 0.0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame, and the samples of silence that go before it (0 for video)."""

    frame: Frame
    silence: int = 0


class FileWriter(ABC):
    """The blocking half of a file sink; it lives in the sink's thread."""

    @abstractmethod
    def open(self) -> None:
        """Create the file, replacing one that is there."""

    @abstractmethod
    def write(self, frames: list[Placed]) -> None:
        """Add frames; afterwards the file on disk is readable up to here, or nearly so."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file. Called once, also after `open` or `write` failed."""


class FileSink(Closeable):
    """Finds each frame its place, and hands frames to its writer in a thread, at the latest after `flush_bytes`.

    What a killed process loses is what was not handed over yet: half a second of sound, or one picture.
    """

    flush_bytes = 48_000

    def __init__(self, path: Path, writer: FileWriter, sample_rate: int) -> None:
        self.path = path
        self._writer = writer
        self._worker = Worker(f"utd-write-{path.name}")
        self._timeline = Timeline(sample_rate)
        self._last_picture_us = -1
        self._taken = 0
        self._dropped_pictures = 0
        self._waiting: list[Placed] = []
        self._bytes = 0
        self._closed = False

    @abstractmethod
    def _check(self, frame: Frame) -> None:
        """Raise `InvalidFrame` for a frame that does not belong into this file."""

    async def _open(self) -> Self:
        try:
            await self._worker.run(self._writer.open)
        except BaseException:
            with suppress(MediaError):  # why it could not be opened says more
                await self.aclose()
            raise
        return self

    async def write(self, frame: Frame) -> None:
        """Take a frame; waits for the disk or the encoder when it is their turn.

        Raises `InvalidFrame` for a frame that does not fit the file, `MediaError` when this frame or an earlier
        one cannot be written, `Closed` after `aclose()`.
        """
        if self._closed:
            raise Closed(f"{self.path.name} is finished; open another sink")
        self._check(frame)
        placed = self._place(frame)
        if placed is None:
            return
        self._taken += 1
        self._waiting.append(placed)
        self._bytes += len(frame.data)
        if self._bytes >= self.flush_bytes:
            await self.flush()

    def _place(self, frame: Frame) -> Placed | None:
        """None for a frame that came twice or too late."""
        if isinstance(frame, AudioFrame):
            silence = self._timeline.place(frame)
            return None if silence is None else Placed(frame, silence)
        if frame.timestamp_us <= self._last_picture_us:
            self._dropped_pictures += 1
            return None
        self._last_picture_us = frame.timestamp_us
        return Placed(frame)

    async def flush(self) -> None:
        """Bring everything taken so far into the file. Raises `MediaError`, `Closed`."""
        frames, self._waiting, self._bytes = self._waiting, [], 0
        if frames:
            await self._worker.run(self._writer.write, frames)

    async def aclose(self) -> None:
        """Write the rest and finish the file. Idempotent. Raises `MediaError` when that fails."""
        self._closed = True
        frames, self._waiting = self._waiting, []
        await self._worker.aclose(lambda: self._finish(frames))

    def _finish(self, frames: list[Placed]) -> None:
        try:
            if frames:
                self._writer.write(frames)
        finally:
            self._writer.close()

    def statistics(self) -> SinkStatistics:
        """Counters since the file was opened."""
        timeline = self._timeline
        filled_ms = timeline.filled * 1_000 / timeline.sample_rate
        return SinkStatistics(self._taken, filled_ms, timeline.dropped + self._dropped_pictures)


def check_audio(frame: Frame, wanted: AudioFormat, sink: str) -> None:
    """Raise `InvalidFrame` when a frame is not audio of this format."""
    if not isinstance(frame, AudioFrame):
        raise InvalidFrame(f"{sink} takes audio frames, got {type(frame).__name__}")
    if frame.sample_rate != wanted.sample_rate or frame.channels != wanted.channels:
        raise InvalidFrame(
            f"{sink} takes {wanted}, got {frame.sample_rate} Hz with {frame.channels} channel(s); "
            "open it with the format of the track"
        )


@contextmanager
def writing(path: Path, *foreign: type[Exception]) -> Iterator[None]:
    """Around everything that touches the file: errors of the file system and `foreign` ones become `MediaError`."""
    expected: tuple[type[Exception], ...] = (OSError, *foreign)
    try:
        yield
    except expected as error:
        raise MediaError(f"{path} cannot be written: {error}; check the folder, the disk and the rights") from error
