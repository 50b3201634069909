"""Who speaks: LiveKit's server gives the sign, and how loud it is is measured here.

The server tells each time who has begun or ceased, and counts every track of sound. The SDK passes on those of them who
are active, without levels and without the others, who may speak on. So a sign begins a watch: the microphones of those
who were named are measured, by the statistics of their tracks, until they are all quiet. Of somebody who speaks on just
as loud the server tells newcomers nothing, so every microphone that is new here is measured for a while.

The SDK takes about 2 ms of CPU for a measurement, so it is made often only while somebody may have begun or ceased.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from livekit import rtc

from utd_core.media.events import SpeakersChanged
from utd_core.media.sinks.level import FLOOR_DBFS
from utd_core.media.speaking import LOUD, PAUSE, Speaking

from .errands import Errands

LOOK = 0.2
"""Seconds between two looks at the levels, while somebody may have begun to speak, or ceased."""
_STEADY_LOOK = PAUSE
"""Seconds between two looks while they speak on: who was quiet for all of that has ceased."""
_ALERT = 1.0
"""Seconds after a sign of the server for which it may be about any of them."""
_WATCHED = 1.5
"""Seconds for which somebody is watched after a sign, however quiet."""
_WATCHED_FROM_THE_START = 3.0
"""Seconds for which somebody is watched whose microphone is received anew."""
_STEADY = 5
"""Looks: a click, with what the library fills the gap after it, is loud in three."""
_UNKNOWN = -30.0
"""dBFS of somebody who is not received here, as long as that."""
_CREST = 3.0
"""dB by which the library's levels, which are peaks, are above the RMS of a tone."""
_DEADLINE = 1.0
"""Seconds; while a connection is repaired the SDK may not answer."""


@dataclass(slots=True)
class _Watched:
    """Somebody who speaks, or may do so. `certain`: the server said so, or it was heard; else it is a guess. `until`:
    seconds on the loop's clock for which that is good, however quiet it is. `steady`: loud looks in a row."""

    who: rtc.Participant
    certain: bool
    until: float
    steady: int = 0

    def believed(self, level: float) -> float:
        """The level as far as it tells of speech: what nobody says is speech has to last."""
        self.steady = self.steady + 1 if level >= LOUD else 0
        return level if self.certain or self.steady >= _STEADY else FLOOR_DBFS


class Speakers:
    """Of one connection. `tell` is given what is to be told; of what nobody has read yet the last one is enough."""

    def __init__(self, tell: Callable[[SpeakersChanged], object]) -> None:
        self._tell = tell
        self._errands = Errands("the speakers of a livekit connection")
        self._watched: dict[str, _Watched] = {}
        self._speaking = Speaking()
        self._meters: dict[str, _Meter] = {}
        self._watching: asyncio.Task[None] | None = None
        self._alarm = asyncio.Event()
        self._alert_until = 0.0

    def changed(self, active: Sequence[rtc.Participant]) -> None:
        """The server has given a sign of these, or of somebody who has ceased."""
        self._alert_until = _now() + _ALERT
        self._alarm.set()
        for who in active:
            self._watch(_Watched(who, True, _now() + _WATCHED))

    def received(self, who: rtc.Participant) -> None:
        """Somebody's microphone is received from now on."""
        if who.identity not in self._watched:
            self._alarm.set()
            self._watch(_Watched(who, False, _now() + _WATCHED_FROM_THE_START))

    async def aclose(self) -> None:
        """Nobody is watched any more. Idempotent."""
        self._watched.clear()
        await self._errands.finish(0.0)

    def _watch(self, watched: _Watched) -> None:
        self._watched[watched.who.identity] = watched
        if self._watching is None:
            self._watching = self._errands.start(self._keep_watch())

    async def _keep_watch(self) -> None:
        try:
            while self._watched:
                levels = {
                    identity: each.believed(await self._level(each)) for identity, each in list(self._watched.items())
                }
                now = _now()
                news = self._speaking.look(now, levels)
                if news is not None:
                    self._tell(SpeakersChanged(news))
                speaking = {speaker.identity for speaker in self._speaking.speakers}
                for identity, each in list(self._watched.items()):
                    if identity in speaking:
                        each.certain = True
                    elif now > each.until:
                        del self._watched[identity]
                await self._rest(speaking)
        finally:
            self._watching = None
            self._meters.clear()

    async def _rest(self, speaking: Collection[str]) -> None:
        """Until the next look."""
        self._alarm.clear()
        await asyncio.sleep(LOOK)
        if _now() >= self._alert_until and all(identity in speaking for identity in self._watched):
            with suppress(TimeoutError):
                async with asyncio.timeout(_STEADY_LOOK - LOOK):
                    await self._alarm.wait()

    async def _level(self, watched: _Watched) -> float:
        """dBFS of a microphone at the moment."""
        publication = _microphone(watched.who)
        if publication is None or publication.muted:
            return FLOOR_DBFS
        level = None
        if publication.track is not None:
            level = await self._meters.setdefault(publication.sid, _Meter()).read(publication.track)
        if level is None:
            return _UNKNOWN if watched.certain and _now() < watched.until else FLOOR_DBFS
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
