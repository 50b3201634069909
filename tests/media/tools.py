"""What the media tests share: a clock that wakes late, tracks that note what they get, sounds to compare."""

from __future__ import annotations

import asyncio
import random
import wave
from array import array
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from utd_core.errors import Closed
from utd_core.media import AudioFrame, Frame, LocalTrack
from utd_core.media.events import TrackInfo
from utd_core.model.permission import TrackSource

T = TypeVar("T")
VOICE = Path(__file__).parents[2] / "utd_core" / "cli" / "assets" / "voice.wav"
FRAME_US = 20_000


class LateClock:
    """A clock for one sleeper: every sleep takes as long as it should, and then the next lateness longer."""

    def __init__(self, lateness: Iterable[float] = ()) -> None:
        self.time = 100.0
        self._lateness: Iterator[float] = iter(lateness)

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += max(0.0, seconds) + next(self._lateness, 0.0)
        await asyncio.sleep(0)


class NotingTrack(LocalTrack):
    """Notes frames with the time at which they came. `cost`: seconds of the clock that a write takes."""

    def __init__(self, clock: LateClock | None = None, *, closes_after: int | None = None, cost: float = 0.0) -> None:
        self.clock = clock
        self.frames: list[Frame] = []
        self.times: list[float] = []
        self.unpublished = 0
        self._closes_after = closes_after
        self._cost = cost

    @property
    def info(self) -> TrackInfo:
        return TrackInfo("noting", TrackSource.MICROPHONE)

    async def write(self, frame: Frame) -> None:
        if len(self.frames) == self._closes_after:
            raise Closed("the track was unpublished")
        self.frames.append(frame)
        if self.clock is not None:
            self.times.append(self.clock.monotonic())
            self.clock.time += self._cost

    async def set_muted(self, muted: bool) -> None:
        """Muting is the backend's."""

    async def unpublish(self) -> None:
        self.unpublished += 1


def noise(samples: int, seed: int = 1, *, peak: int = 8_000) -> bytes:
    """White noise, which is like itself at one lag only."""
    chance = random.Random(seed)
    return array("h", [chance.randint(-peak, peak) for _ in range(samples)]).tobytes()


def audio_frames(pcm: bytes, *, sample_rate: int = 48_000, channels: int = 1, start_us: int = 0) -> list[AudioFrame]:
    """Frames of 20 ms one after the other."""
    size = sample_rate // 50 * channels * 2
    return [
        AudioFrame(pcm[at : at + size], sample_rate, channels, start_us + FRAME_US * number)
        for number, at in enumerate(range(0, len(pcm) - size + 1, size))
    ]


def write_wav(path: Path, pcm: bytes, sample_rate: int = 48_000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(pcm)
    return path


def read_wav(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        return file.readframes(file.getnframes())


async def off_loop(function: Callable[..., T], *args: object) -> T:
    """For what a test itself does with files, while blocking calls are watched."""
    return await asyncio.to_thread(function, *args)


async def cancel_at_await(operation: Callable[[], Awaitable[object]], turns: int) -> bool:
    """Cancel `operation` after so many turns of the loop. True when it had not ended by then."""

    async def run() -> None:
        await operation()

    task = asyncio.create_task(run())
    for _ in range(turns):
        await asyncio.sleep(0)
    cancelled = task.cancel()
    await asyncio.wait([task])
    return cancelled
