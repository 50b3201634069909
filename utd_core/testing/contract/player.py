"""Frames written into a track at the pace of real time, their timestamps one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from ...concurrency import TaskScope
from ...errors import UTDStreamException
from ...media.backend import LocalTrack
from ...media.frames import AudioFrame, Frame
from .patience import Patience


class Player:
    """Writes frames over and over. `position_us`: where its next frame begins. `rate`: pictures per second."""

    def __init__(
        self, patience: Patience, track: LocalTrack, frames: Iterable[Frame], *, rate: float = 30.0, start_us: int = 0
    ) -> None:
        self.position_us = start_us
        self._patience = patience
        self._track = track
        self._frames = tuple(frames)
        self._rate = rate
        self._begin = patience.clock.monotonic() - start_us / 1_000_000

    async def play(self) -> int:
        """Write every frame once; where the next one would begin (us)."""
        for frame in self._frames:
            await self._patience.within(self._write(frame))
            await self._patience.pass_time(max(0.0, self._left()))
        return self.position_us

    async def play_on(self) -> None:
        """Play until cancelled, or until the track takes no more. Somebody else lets time pass."""
        while True:
            for frame in self._frames:
                try:
                    await self._write(frame)
                except UTDStreamException:
                    return
                await self._patience.clock.sleep(self._left())

    async def _write(self, frame: Frame) -> None:
        at = self.position_us
        await self._track.write(frame if frame.timestamp_us == at else replace(frame, timestamp_us=at))
        self.position_us += frame.duration_us if isinstance(frame, AudioFrame) else round(1_000_000 / self._rate)

    def _left(self) -> float:
        """Seconds until the next frame is due."""
        return self._begin + self.position_us / 1_000_000 - self._patience.clock.monotonic()


@asynccontextmanager
async def playing(player: Player) -> AsyncIterator[Player]:
    """Play over and over beside the test, until the block ends or the track is closed."""
    scope = TaskScope("player")
    await scope.open()
    scope.start(player.play_on)
    try:
        yield player
    finally:
        await scope.aclose()
