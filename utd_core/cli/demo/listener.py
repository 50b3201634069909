"""Who hears: one participant that records what another one says, and looks at the pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...client import UTDSession
from ...concurrency import Clock
from ...errors import UTDStreamException
from ...media.convert import to_mono
from ...media.frames import AudioFrame, Frame
from ...media.sinks.base import Sink
from ...media.sinks.level import LevelMeter
from ...media.sinks.wav import WavSink
from ...media.sources.pattern import read_counter
from ...model.permission import TrackSource
from .devices import SAMPLE_RATE, Meter


@dataclass(frozen=True, slots=True)
class Part:
    """A listener's part in a scene: whose voice is recorded, and whose pictures are watched (None: nobody's)."""

    identity: str
    hears: str
    sees: str | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """One frame of sound in the recording: microseconds from its beginning."""

    start_us: int
    duration_us: int


class Hearing(Protocol):
    """What there is to know of a part that is played: here or in another process.

    Times are those of the clock here. `path`: the recording, which begins at `origin`. `received`: every frame of
    sound; `first_at`: when the first came, also one of silence. `pictures`: numbers of the test pattern's pictures that
    were seen, with when each came. `failure`: what ended the recording before its time.
    """

    @property
    def part(self) -> Part: ...

    @property
    def path(self) -> Path: ...

    @property
    def origin(self) -> float: ...

    @property
    def meter(self) -> Meter: ...

    @property
    def received(self) -> Sequence[Stretch]: ...

    @property
    def pictures(self) -> Mapping[int, float]: ...

    @property
    def first_at(self) -> float | None: ...

    @property
    def failure(self) -> UTDStreamException | None: ...


class Listener(Sink):
    """Plays a part. `origin`: the clock at the beginning of the recording, the same for all of a scene.

    It is itself the sink between the session's recorder and the WAV file, and so sees what is written.
    """

    def __init__(self, part: Part, path: Path, clock: Clock, origin: float) -> None:
        self.part = part
        self.path = path
        self.origin = origin
        self.meter = LevelMeter()
        self.received: list[Stretch] = []
        """Every frame of sound."""
        self.pictures: dict[int, float] = {}
        """Numbers of the test pattern's pictures that were seen, with the clock when each came."""
        self.hears = asyncio.Event()
        """Set by the first frame, also one of silence."""
        self.first_at: float | None = None
        """The clock when that came."""
        self.failure: UTDStreamException | None = None
        """What ended the recording before its time."""
        self._clock = clock
        self._file: WavSink | None = None

    async def open(self) -> None:
        """Make the file. Raises `MediaError` when that is impossible."""
        self._file = await WavSink.open(self.path, sample_rate=SAMPLE_RATE)

    async def listen(self, session: UTDSession) -> None:
        """Record until it is cancelled or the session is left."""
        try:
            await session.record(self.part.hears, self, origin=self.origin)
        except UTDStreamException as error:
            self.failure = error

    async def watch(self, session: UTDSession) -> None:
        """Note which pictures arrive, until it is cancelled or the session is left."""
        assert self.part.sees is not None
        async with session.frames(self.part.sees, TrackSource.CAMERA) as frames:
            async for frame in frames:
                if (number := read_counter(frame)) is not None:
                    self.pictures.setdefault(number, self._clock.monotonic())

    async def write(self, frame: Frame) -> None:
        """Take a frame of sound. Raises as `WavSink.write`."""
        assert isinstance(frame, AudioFrame)
        assert self._file is not None
        # A backend may carry stereo whatever was published.
        frame = to_mono(frame)
        await self._file.write(frame)
        self.received.append(Stretch(frame.timestamp_us, frame.duration_us))
        self.meter.add(frame)
        if self.first_at is None:
            self.first_at = self._clock.monotonic()
            self.hears.set()

    async def aclose(self) -> None:
        """Finish the file. Idempotent. Raises `MediaError` when that fails."""
        if self._file is not None:
            await self._file.aclose()
