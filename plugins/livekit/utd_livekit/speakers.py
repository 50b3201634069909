"""Who speaks: LiveKit's server gives the sign, and how loud it is is measured here.

The server tells each time who has begun or ceased, and counts every track of sound. The SDK passes on those of them who
are active, without levels and without the others, who may speak on. So a sign begins a watch: the microphones of those
who were named are measured, by the statistics of their tracks, until they are all quiet.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any

from livekit import rtc

from utd_core.media.events import SpeakersChanged
from utd_core.media.sinks.level import FLOOR_DBFS
from utd_core.media.speaking import Speaking

from .errands import Errands

LOOK = 0.2
"""Seconds between two looks at the levels, while somebody speaks or may do so."""
_WATCHED = 1.5
"""Seconds for which somebody is watched after a sign, however quiet."""
_UNKNOWN = -30.0
"""dBFS of somebody who is not received here, as long as that."""
_CREST = 3.0
"""dB by which the library's levels, which are peaks, are above the RMS of a tone."""
_DEADLINE = 1.0
"""Seconds; while a connection is repaired the SDK may not answer."""


class Speakers:
    """Of one connection. `tell` is given what is to be told; of what nobody has read yet the last one is enough."""

    def __init__(self, tell: Callable[[SpeakersChanged], object]) -> None:
        self._tell = tell
        self._errands = Errands("the speakers of a livekit connection")
        self._signs: dict[str, tuple[rtc.Participant, float]] = {}
        self._speaking = Speaking()
        self._meters: dict[str, _Meter] = {}
        self._watching: asyncio.Task[None] | None = None

    def changed(self, active: Sequence[rtc.Participant]) -> None:
        """The server has given a sign of these, or of somebody who has ceased."""
        now = _now()
        for who in active:
            self._signs[who.identity] = (who, now)
        if self._watching is None and self._signs:
            self._watching = self._errands.start(self._watch())

    async def aclose(self) -> None:
        """Nobody is watched any more. Idempotent."""
        self._signs.clear()
        await self._errands.finish(0.0)

    async def _watch(self) -> None:
        try:
            while self._signs:
                levels = {identity: await self._level(*sign) for identity, sign in list(self._signs.items())}
                now = _now()
                news = self._speaking.look(now, levels)
                if news is not None:
                    self._tell(SpeakersChanged(news))
                speaking = {speaker.identity for speaker in self._speaking.speakers}
                for identity, (_, at) in list(self._signs.items()):
                    if identity not in speaking and now - at > _WATCHED:
                        del self._signs[identity]
                await asyncio.sleep(LOOK)
        finally:
            self._watching = None
            self._meters.clear()

    async def _level(self, who: rtc.Participant, sign_at: float) -> float:
        """dBFS of a microphone at the moment."""
        publication = _microphone(who)
        if publication is None or publication.muted:
            return FLOOR_DBFS
        level = None
        if publication.track is not None:
            level = await self._meters.setdefault(publication.sid, _Meter()).read(publication.track)
        if level is None:
            return _UNKNOWN if _now() - sign_at < _WATCHED else FLOOR_DBFS
        return level


class _Meter:
    """The level of one track between two looks."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    async def read(self, track: rtc.Track) -> float | None:
        """dBFS since the read before, from -120 to 0, the first time -120; None where the library does not say."""
        try:
            async with asyncio.timeout(_DEADLINE):
                stats = await track.get_stats()
        except Exception:  # noqa: BLE001  # the SDK raises plain ones, for a track that has just ended too
            return None
        for entry in stats:
            if entry.HasField("inbound_rtp"):
                return self._level(entry.inbound_rtp.inbound)
            if entry.HasField("media_source"):
                return self._level(entry.media_source.audio)
        return None

    def _level(self, heard: Any) -> float:
        before, self._before = self._before, (heard.total_audio_energy, heard.total_samples_duration)
        if before is None or before[1] >= heard.total_samples_duration:
            # What the library calls the level of the moment holds for a second after a click.
            return FLOOR_DBFS
        power = (heard.total_audio_energy - before[0]) / (heard.total_samples_duration - before[1])
        return min(0.0, max(FLOOR_DBFS, 10 * math.log10(power) - _CREST)) if power > 0 else FLOOR_DBFS


def _microphone(who: rtc.Participant) -> rtc.TrackPublication | None:
    sources = (each for each in who.track_publications.values() if each.source == rtc.TrackSource.SOURCE_MICROPHONE)
    return next(sources, None)


def _now() -> float:
    return asyncio.get_running_loop().time()
