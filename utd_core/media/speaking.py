"""Who speaks, from how loud everybody is: for backends whose media server does not tell it.

- Whoever has `Speaking` looks at it each `LOOK` seconds, with the level of each microphone since the look before.
- Somebody speaks who is at `LOUD` in three of the last five looks: a click is no word.
- Somebody has ceased who was under `QUIET` for `PAUSE` seconds: a breath is no end.
- Changes of who speaks are told at once; changes of levels and order at most each `REFRESH` seconds.

No clock is read: the time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log10
from operator import mul

from .events import Speaker
from .frames import AudioFrame
from .pcm import unpack
from .sinks.level import FLOOR_DBFS

LOOK = 0.1
LOUD = -45.0
"""dBFS, as RMS."""
QUIET = -55.0
PAUSE = 0.5
REFRESH = 0.3

_WORD, _MEMORY = 3, 0b11111
"""Loud looks that make a word, among those that a bit each is kept of."""
_FALL = 30.0
"""dB/s by which a told level falls at most, so that a pause between words is no loss of the first place."""
_NOTABLE = 2.0
"""dB."""
_EARLY = LOOK / 4
"""Seconds by which a timer may be early."""
_STEP = 11
"""One of so many samples is enough to know how loud speech is; odd, so that both channels count."""


def level_of(frames: Iterable[AudioFrame]) -> float:
    """RMS of several frames together, in dBFS from -120 to 0, from some of their samples."""
    power, count = 0, 0
    for frame in frames:
        samples = unpack(frame.data)[::_STEP]
        power += sum(map(mul, samples, samples))
        count += len(samples)
    return max(FLOOR_DBFS, 10 * log10(power / count / 32_768**2)) if power else FLOOR_DBFS


@dataclass(slots=True)
class _Voice:
    """`level`: as it is told. `loud`: a bit for each of the last looks. `heard_at`: the last one that was not quiet."""

    level: float
    heard_at: float
    loud: int = 0
    speaks: bool = False


class Speaking:
    """Everybody in one room. Whoever is silent is not remembered."""

    def __init__(self) -> None:
        self.speakers: tuple[Speaker, ...] = ()
        """As they were told last."""
        self._voices: dict[str, _Voice] = {}
        self._looked_at = self._told_at = float("-inf")

    @property
    def is_quiet(self) -> bool:
        """Nobody speaks, or may be about to: no look is needed before there is a sound."""
        return not self._voices

    def look(self, now: float, levels: Mapping[str, float]) -> tuple[Speaker, ...] | None:
        """Take the levels (dBFS by identity) since the look before; the speakers, loudest first, if that is news.

        `now`: seconds, of any clock that does not go back. Whoever is not in `levels` was silent.
        """
        fallen = _FALL * (now - self._looked_at) if self._voices else 0.0
        self._looked_at = now
        for identity, level in levels.items():
            if level >= QUIET and identity not in self._voices:
                self._voices[identity] = _Voice(level, now)
        for identity, voice in list(self._voices.items()):
            if not _hear(voice, now, levels.get(identity, FLOOR_DBFS), fallen):
                del self._voices[identity]
        return self._news(now)

    def forget(self, identity: str, now: float) -> tuple[Speaker, ...] | None:
        """Somebody is gone; the speakers, if they are to be told."""
        self._voices.pop(identity, None)
        return self._news(now)

    def _news(self, now: float) -> tuple[Speaker, ...] | None:
        voices = sorted(self._voices.items(), key=lambda item: (-item[1].level, item[0]))
        speakers = tuple([Speaker(identity, voice.level) for identity, voice in voices if voice.speaks])
        if not self._is_news(speakers, now):
            return None
        self.speakers, self._told_at = speakers, now
        return speakers

    def _is_news(self, speakers: tuple[Speaker, ...], now: float) -> bool:
        told = {speaker.identity: speaker.level for speaker in self.speakers}
        if told.keys() != {speaker.identity for speaker in speakers}:
            return True
        if now - self._told_at < REFRESH - _EARLY:
            return False
        return any(abs(speaker.level - told[speaker.identity]) >= _NOTABLE for speaker in speakers)


def _hear(voice: _Voice, now: float, level: float, fallen: float) -> bool:
    """Whether the voice is to be remembered."""
    voice.level = max(level, voice.level - fallen, FLOOR_DBFS)
    voice.loud = (voice.loud << 1 | (level >= LOUD)) & _MEMORY
    if level >= QUIET:
        voice.heard_at = now
    if voice.loud.bit_count() >= _WORD:
        voice.speaks = True
    elif now - voice.heard_at >= PAUSE - _EARLY:
        voice.speaks = False
    return voice.speaks or voice.loud > 0 or level >= QUIET
