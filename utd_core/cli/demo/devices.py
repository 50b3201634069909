"""What the cast holds in its hands: the voice, a microphone that says it in real time, and a camera."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...concurrency import Clock
from ...media.formats import VideoFormat
from ...media.frames import AudioFrame
from ...media.sinks.level import Level, LevelMeter, measure
from ...media.sources.base import AudioSourceBase
from ...media.sources.file import FileAudioSource
from ...media.sources.pattern import TestPatternVideoSource

VOICE = Path(__file__).parent.parent / "assets" / "voice.wav"
SAMPLE_RATE = 48_000
FRAME_MS = 20
FRAME_S = FRAME_MS / 1_000
CAMERA = VideoFormat(320, 240, 15.0)
"""A small picture at a low rate, so that the encoder of any backend can follow."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Somebody's words: mono int16 PCM at 48 kHz, in frames of 20 ms."""

    path: Path
    frames: tuple[bytes, ...]

    @classmethod
    async def load(cls, path: Path = VOICE) -> Voice:
        """Read a speech file. Raises `InvalidInput` when it is missing or holds no sound."""
        async with await FileAudioSource.open(path, sample_rate=SAMPLE_RATE, frame_ms=FRAME_MS) as source:
            return cls(path, tuple([frame.data async for frame in source]))

    @property
    def seconds(self) -> float:
        return len(self.frames) * FRAME_S

    @property
    def pcm(self) -> bytes:
        """All of it in one piece."""
        return b"".join(self.frames)


@dataclass(frozen=True, slots=True)
class Loudness:
    """`at`: a reading of the clock, seconds. `dbfs`: RMS of the frame that was due then."""

    at: float
    dbfs: float


class Meter(Protocol):
    """How loud it is now, and whether somebody speaks."""

    @property
    def level(self) -> Level: ...

    @property
    def is_speaking(self) -> bool: ...


class Speech(Protocol):
    """What there is to know of a microphone that says the voice: here or in another process.

    Times are those of the clock here. `opened_at`: when the first frame was asked for; `spoken_at`: when the first
    frame of the voice was due; None before that. `worst_lateness`: seconds by which a frame of the voice went out after
    its time, at the worst. `loudness`: of every frame of the voice so far. `seconds`: how long the voice takes.
    """

    @property
    def meter(self) -> Meter: ...

    @property
    def loudness(self) -> Sequence[Loudness]: ...

    @property
    def opened_at(self) -> float | None: ...

    @property
    def spoken_at(self) -> float | None: ...

    @property
    def worst_lateness(self) -> float: ...

    @property
    def seconds(self) -> float: ...


class Microphone(AudioSourceBase):
    """Open and silent; says the voice once it is told to `speak()`, and is silent again until it is closed.

    A microphone is open before and after the words, as a real one is: no backend has to carry the first and the last
    frame of the voice at the very beginning and end of a track.
    """

    def __init__(self, voice: Voice, clock: Clock) -> None:
        super().__init__(SAMPLE_RATE, 1, FRAME_MS)
        self.meter = LevelMeter()
        self.loudness: list[Loudness] = []
        """Of every frame of the voice that was handed out."""
        self.opened_at: float | None = None
        """The clock when the first frame was asked for."""
        self.spoken_at: float | None = None
        """The clock when the first frame of the voice was due; None before that."""
        self.worst_lateness = 0.0
        """Seconds by which a frame of the voice went out after its time, at the worst."""
        self._voice = voice
        self._clock = clock
        self._silence = bytes(self.frame_bytes)
        self._due = 0.0
        self._told_to_speak = False
        self._finished = asyncio.Event()

    def speak(self) -> None:
        """Say the voice, from the next frame on. Once."""
        self._told_to_speak = True

    async def wait_finished(self) -> None:
        """Wait until the last frame of the voice went out: for ever, when nobody reads the microphone."""
        await self._finished.wait()

    @property
    def seconds(self) -> float:
        """How long the voice takes."""
        return self._voice.seconds

    @property
    def spoken(self) -> int:
        """Frames of the voice so far."""
        return len(self.loudness)

    async def read(self) -> AudioFrame:
        self._check_open()
        now = self._clock.monotonic()
        if self.opened_at is None:
            self.opened_at = self._due = now
        # A pump asks for a frame when it has written the one before: now is when that one went out.
        lateness = now - (self._due - FRAME_S) if self.meter.frames else 0.0
        if self.spoken and not self._finished.is_set():
            self.worst_lateness = max(self.worst_lateness, lateness)
        if self._told_to_speak and not self._is_done():
            frame = self._stamp(self._voice.frames[self.spoken])
            if self.spoken_at is None:
                # What was late in the silence before is not the voice's lateness.
                self.spoken_at = self._due = self._due + max(0.0, lateness)
            self.loudness.append(Loudness(self._due, measure(frame).rms))
        else:
            frame = self._stamp(self._silence)
        self.meter.add(frame)
        self._due += FRAME_S
        return frame

    def _is_done(self) -> bool:
        if self.spoken < len(self._voice.frames):
            return False
        self._finished.set()
        return True


def open_camera() -> TestPatternVideoSource:
    """A camera; each of its pictures bears its number."""
    return TestPatternVideoSource(CAMERA.width, CAMERA.height, CAMERA.framerate)
