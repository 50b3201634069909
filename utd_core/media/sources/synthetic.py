"""Sound without a file: a sine tone, and silence."""

from __future__ import annotations

import math
from array import array
from fractions import Fraction
from functools import lru_cache

from ...errors import InvalidInput
from ..checks import is_number
from ..frames import AudioFrame
from ..pcm import pack
from .base import AudioSourceBase, frames_in

FULL_SCALE = 32_767
_MOST_PHASES = 1_000


class SilenceAudioSource(AudioSourceBase):
    """Digital silence. Ends after `seconds` (rounded up to whole frames), or never."""

    def __init__(
        self, *, sample_rate: int = 48_000, channels: int = 1, frame_ms: int = 20, seconds: float | None = None
    ) -> None:
        super().__init__(sample_rate, channels, frame_ms)
        self._left = frames_in(seconds, 1_000 / frame_ms)
        self._silence = bytes(self.frame_bytes)

    async def read(self) -> AudioFrame | None:
        self._check_open()
        if self._left <= 0:
            return None
        self._left -= 1
        return self._stamp(self._silence)


class ToneAudioSource(AudioSourceBase):
    """A sine of `frequency` Hz, continuous from frame to frame, the same on every channel.

    `level` is the sine's peak in dBFS, so its RMS is 3.01 dB lower. Ends after `seconds` (rounded up to whole
    frames), or never. Raises `InvalidInput` for a frequency that the rate cannot carry or a level above 0.
    """

    def __init__(
        self,
        frequency: float = 440.0,
        level: float = -20.0,
        *,
        sample_rate: int = 48_000,
        channels: int = 1,
        frame_ms: int = 20,
        seconds: float | None = None,
    ) -> None:
        super().__init__(sample_rate, channels, frame_ms)
        if not is_number(frequency) or not 0 < frequency < sample_rate / 2:
            raise InvalidInput(f"frequency must be over 0 and under {sample_rate / 2:g} Hz, got {frequency!r}")
        if not is_number(level) or level > 0:
            raise InvalidInput(f"level must be at most 0 dBFS, got {level!r}; -20 is usual")
        self.frequency = frequency
        self.level = level
        self._amplitude = FULL_SCALE * 10 ** (level / 20)
        self._left = frames_in(seconds, 1_000 / frame_ms)
        # Frames repeat after few: at 440 Hz after five of 20 ms. The limit moves the frequency by less than one
        # cycle in a million frames.
        cycles = Fraction(frequency) * self.samples_per_frame / sample_rate
        self._cycles = cycles.limit_denominator(_MOST_PHASES)
        self._rendered: dict[int, bytes] = {}
        self._index = 0

    async def read(self) -> AudioFrame | None:
        self._check_open()
        if self._left <= 0:
            return None
        self._left -= 1
        place = self._index % self._cycles.denominator
        self._index += 1
        data = self._rendered.get(place)
        if data is None:
            data = _sine(self._cycles, place, self._amplitude, self.samples_per_frame, self.channels)
            self._rendered[place] = data
        return self._stamp(data)


@lru_cache(maxsize=_MOST_PHASES)
def _sine(cycles: Fraction, place: int, amplitude: float, samples: int, channels: int) -> bytes:
    """Frame number `place` of a sine of `cycles` per frame; 500 tracks that play it share one copy."""
    step = math.tau * float(cycles) / samples
    phase = math.tau * float(cycles * place % 1)
    sine = array("h", [round(amplitude * math.sin(phase + step * n)) for n in range(samples)])
    if channels == 1:
        return pack(sine)
    interleaved = array("h", bytes(2 * samples * channels))
    for channel in range(channels):
        interleaved[channel::channels] = sine
    return pack(interleaved)
