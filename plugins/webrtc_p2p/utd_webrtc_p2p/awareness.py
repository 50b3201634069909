"""Who of the two speaks, and how well they are connected: found out here, since no server is there to tell it."""

from __future__ import annotations

from collections.abc import Mapping

from utd_core.concurrency import BoundedQueue, Clock
from utd_core.media.backend import WireStatistics
from utd_core.media.conditions import quality_of
from utd_core.media.events import ConnectionQuality, MediaEvent, QualityChanged, Speaker, SpeakersChanged
from utd_core.media.speaking import LOOK, Speaking
from utd_core.model.permission import TrackSource

from .membership import Membership
from .path import Path
from .publishing import Publishing
from .receiving import Receiving

_RATING = 2.0
"""Seconds from one judgement of the connection to the next."""
_SILENCE = 2.5
"""Seconds without a sign of life, of which there is one each second, that make a connection poor."""
_ENOUGH = 20
"""Packets of which the share that was lost says something."""

Figures = Mapping[TrackSource, WireStatistics]


class Awareness:
    """`watch()` looks and tells, as long as it runs."""

    def __init__(
        self,
        clock: Clock,
        events: BoundedQueue[MediaEvent],
        member: Membership,
        path: Path,
        publishing: Publishing,
        receiving: Receiving,
    ) -> None:
        self._clock = clock
        self._events = events
        self._member = member
        self._path = path
        self._publishing = publishing
        self._receiving = receiving
        self._speaking = Speaking()
        self._sending, self._coming = _Losses(), _Losses()
        self._qualities: dict[str, ConnectionQuality] = {}

    async def watch(self) -> None:
        """Never returns."""
        looked_at = rated_at = self._clock.monotonic()
        while True:
            await self._clock.sleep(LOOK)
            now = self._clock.monotonic()
            self._listen(looked_at, now)
            looked_at = now
            if now - rated_at >= _RATING:
                rated_at = now
                await self._rate()

    def _listen(self, since: float, now: float) -> None:
        mine = self._publishing.loudness(TrackSource.MICROPHONE)
        theirs = self._receiving.loudness(TrackSource.MICROPHONE)
        other = self._member.roster.other
        levels = {}
        if mine is not None:
            levels[self._member.identity] = mine.since(since)
        if theirs is not None and other is not None:
            levels[other.identity] = theirs.since(since)
        for speaker in self._speaking.speakers:
            if speaker.identity not in (self._member.identity, None if other is None else other.identity):
                self._tell(self._speaking.forget(speaker.identity, now))
        self._tell(self._speaking.look(now, levels))

    def _tell(self, speakers: tuple[Speaker, ...] | None) -> None:
        if speakers is not None:
            self._events.supersede(SpeakersChanged(speakers))

    async def _rate(self) -> None:
        other = self._member.roster.other
        if other is None:
            return
        if self._path.is_broken:
            mine = theirs = ConnectionQuality.LOST
        elif not self._path.is_up:
            return
        elif self._path.silent_for >= _SILENCE:
            mine = theirs = ConnectionQuality.POOR
        else:
            figures, round_trip = await self._path.figures(), self._path.round_trip or 0.0
            mine = self._sending.rate(figures.sent, round_trip)
            theirs = self._coming.rate(figures.received, round_trip)
        for identity, quality in ((self._member.identity, mine), (other.identity, theirs)):
            if self._qualities.get(identity) is not quality:
                self._qualities[identity] = quality
                self._events.put(QualityChanged(identity, quality))


class _Losses:
    """One direction, over all its tracks."""

    def __init__(self) -> None:
        self._packets = self._lost = 0

    def rate(self, figures: Figures, round_trip: float) -> ConnectionQuality:
        """How good it was since the last time."""
        packets = sum(one.packets for one in figures.values())
        lost = sum(one.packets_lost for one in figures.values())
        # Less than before: a new peer connection, whose counters begin anew.
        more, missing = (packets, lost) if packets < self._packets else (packets - self._packets, lost - self._lost)
        self._packets, self._lost = packets, lost
        jitter = max((one.jitter_ms or 0.0 for one in figures.values()), default=0.0)
        share = max(0, missing) / more if more >= _ENOUGH else 0.0
        return quality_of(loss=share, round_trip=round_trip, jitter=jitter / 1_000)
