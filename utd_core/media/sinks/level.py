"""How loud a stream is, and whether somebody speaks.

Levels are dBFS of int16: 0 dBFS is a full-scale square wave, so a full-scale sine has a peak of 0 and an RMS of
-3.01 dBFS. Digital silence, which would be minus infinity, is -120.0 dBFS.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

from ...errors import Closed, InvalidFrame, InvalidInput
from ..frames import AudioFrame, Frame
from ..pcm import unpack

FLOOR_DBFS = -120.0
_FULL_SCALE = 32_768


@dataclass(frozen=True, slots=True)
class Level:
    """`rms`, `peak`: dBFS, from -120.0 to 0.0, over all channels."""

    rms: float = FLOOR_DBFS
    peak: float = FLOOR_DBFS


SILENT = Level()


def measure(frame: AudioFrame) -> Level:
    """The level of one frame."""
    samples = unpack(frame.data)
    highest, lowest = max(samples), min(samples)
    peak = max(highest, -lowest)
    if peak == 0:
        return SILENT
    power = sum(map(operator.mul, samples, samples)) / len(samples)
    return Level(_dbfs(math.sqrt(power) / _FULL_SCALE), _dbfs(peak / _FULL_SCALE))


class LevelMeter:
    """A sink that shows levels: quick to rise, slow to fall, as a meter on a desk does.

    The RMS rises at once and falls by at most `fall_db_per_s`; a peak stays for `peak_hold_ms`. `is_speaking`
    becomes true with a frame of `speaking_above` dBFS RMS or more, and false when all frames of
    `silent_after_ms` were under `silent_below`: the distance between both levels and the wait keep it from
    flickering between words. Time is the frames' own: no clock is read.
    """

    def __init__(
        self,
        *,
        fall_db_per_s: float = 60.0,
        peak_hold_ms: float = 1_000.0,
        speaking_above: float = -45.0,
        silent_below: float = -55.0,
        silent_after_ms: float = 400.0,
    ) -> None:
        if not FLOOR_DBFS < silent_below <= speaking_above <= 0:
            raise InvalidInput(
                f"levels must be {FLOOR_DBFS:g} < silent_below <= speaking_above <= 0 dBFS, "
                f"got {silent_below!r} and {speaking_above!r}"
            )
        if not (fall_db_per_s > 0 and peak_hold_ms >= 0 and silent_after_ms >= 0):
            raise InvalidInput("fall_db_per_s must be over 0, peak_hold_ms and silent_after_ms at least 0")
        self.fall_db_per_s = fall_db_per_s
        self.peak_hold_ms = peak_hold_ms
        self.speaking_above = speaking_above
        self.silent_below = silent_below
        self.silent_after_ms = silent_after_ms
        self.is_speaking = False
        self.frames = 0
        self._level = SILENT
        self._peak_age_ms = 0.0
        self._quiet_ms = 0.0
        self._closed = False

    async def write(self, frame: Frame) -> None:
        """Measure a frame. Raises `InvalidFrame` for video, `Closed` after `aclose()`."""
        if not isinstance(frame, AudioFrame):
            raise InvalidFrame(f"a level meter takes audio frames, got {type(frame).__name__}")
        if self._closed:
            raise Closed("this level meter was closed; make a new one")
        self.add(frame)

    def add(self, frame: AudioFrame) -> Level:
        """Measure a frame; the meter's level afterwards."""
        self.frames += 1
        return self._advance(frame.duration_us / 1_000, measure(frame))

    def rest(self, milliseconds: float) -> Level:
        """Time passed without a frame (muted, or lost): the meter falls. The level afterwards."""
        return self._advance(milliseconds, SILENT)

    @property
    def level(self) -> Level:
        """Falling RMS and held peak, now."""
        return self._level

    async def aclose(self) -> None:
        """Take no more frames; the last level stays. Idempotent."""
        self._closed = True

    def _advance(self, milliseconds: float, heard: Level) -> Level:
        rms = max(heard.rms, self._level.rms - self.fall_db_per_s * milliseconds / 1_000)
        peak = self._level.peak
        self._peak_age_ms += milliseconds
        if heard.peak >= peak or self._peak_age_ms > self.peak_hold_ms:
            peak, self._peak_age_ms = heard.peak, 0.0
        self._level = Level(rms, peak)

        self._quiet_ms = self._quiet_ms + milliseconds if heard.rms < self.silent_below else 0.0
        if heard.rms >= self.speaking_above:
            self.is_speaking = True
        elif self._quiet_ms > self.silent_after_ms:
            self.is_speaking = False
        return self._level


def _dbfs(amplitude: float) -> float:
    return max(FLOOR_DBFS, 20 * math.log10(amplitude)) if amplitude > 0 else FLOOR_DBFS
