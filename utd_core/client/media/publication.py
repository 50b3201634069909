"""One thing that this participant publishes, and the task that feeds it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from enum import StrEnum

import anyio

from ...concurrency import Clock
from ...errors import Closed, UTDStreamException
from ...media.backend import LocalTrack, PublishOptions
from ...media.events import TrackInfo
from ...media.frames import Frame
from ...media.pump import Pump, SourceEnd
from ..models import PublishingStatistics
from .devices import MediaSource

log = logging.getLogger("utd_core.client")


class FeedEnd(StrEnum):
    """Why a feed ended."""

    STOPPED = "stopped"
    TRACK = "track"
    """The track ended: unpublished, its grant was taken away, or the connection is gone."""
    SOURCE = "source"
    """The source has no more frames, or was closed."""
    FAILED = "failed"


class Feed:
    """Pumps a source into a track, in one task. What it does not leave to another feed it closes, however it ends."""

    def __init__(self, media: MediaSource, track: LocalTrack, clock: Clock) -> None:
        self.media = media
        self.failure = ""
        self._outlet = _Outlet(track)
        self._clock = clock
        self._scope = anyio.CancelScope()
        self._keeps = False
        self._player: Pump | None = None

    async def run(self) -> FeedEnd:
        """The task."""
        end = FeedEnd.STOPPED
        try:
            with self._scope:
                end = await self._pump()
        finally:
            if not self._keeps and end in (FeedEnd.STOPPED, FeedEnd.FAILED):
                await close(self.media, self._outlet)
        return end

    @property
    def is_open(self) -> bool:
        """Whether frames go through; while not, the source goes on, and what it gives is lost."""
        return self._outlet.is_open

    @is_open.setter
    def is_open(self, is_open: bool) -> None:
        self._outlet.is_open = is_open

    def stop(self, *, keep: bool = False) -> None:
        """Send no frame from now on. `keep`: leave the source open, for another feed."""
        self._keeps = keep
        self._outlet.cut()
        # From a callback: anyio words each cancellation with a description of the task that asks for it, at a cost.
        asyncio.get_running_loop().call_soon(self._scope.cancel)

    def statistics(self) -> PublishingStatistics:
        """What it has played so far."""
        if self._player is None:
            return PublishingStatistics()
        played = self._player.statistics()
        return PublishingStatistics(
            played.frames, self._outlet.muted, played.late, played.skipped, played.resyncs, played.max_lateness_ms
        )

    async def _pump(self) -> FeedEnd:
        try:
            self._player = Pump(self.media, self._outlet, self._clock, at_end=SourceEnd.HOLD, close_source=False)
            await self._player.run()
        except Exception as error:
            log.exception("the source of %s failed", self._outlet.info.source.value)
            self.failure = str(error) or type(error).__name__
            return FeedEnd.FAILED
        return FeedEnd.TRACK if self._outlet.is_cut else FeedEnd.SOURCE


@dataclass(eq=False, slots=True)
class Publication:
    """What is wanted (`media`, `muted`), and what there is (`track`, None while it cannot be published)."""

    media: MediaSource
    options: PublishOptions
    muted: bool = False
    track: LocalTrack | None = None
    feed: Feed | None = field(default=None, repr=False)
    _played_before: PublishingStatistics = field(default_factory=PublishingStatistics, repr=False)

    def statistics(self) -> PublishingStatistics:
        """What was played so far, by the present feed and those before it."""
        return self._played_before if self.feed is None else self._played_before + self.feed.statistics()

    def mute(self, muted: bool) -> None:
        """Send nothing from now on, or send again; the track is told by whoever holds it."""
        self.muted = muted
        if self.feed is not None:
            self.feed.is_open = not muted

    def attach(self, track: LocalTrack, clock: Clock) -> Feed:
        """It is published as `track`; the feed to run."""
        self.detach(keep=True)
        self.track = track
        self.feed = Feed(self.media, track, clock)
        self.feed.is_open = not self.muted
        return self.feed

    def detach(self, *, keep: bool = False) -> LocalTrack | None:
        """Stop feeding; the track it had. `keep`: the source is fed into another track later."""
        track, self.track = self.track, None
        feed, self.feed = self.feed, None
        if feed is not None:
            feed.stop(keep=keep)
            if keep:
                self._played_before += feed.statistics()
        return track


async def close(media: MediaSource, track: LocalTrack | None) -> None:
    """End both, also when cancelled."""
    with anyio.CancelScope(shield=True):
        if track is not None:
            try:
                await track.unpublish()
            except UTDStreamException as error:
                log.info("unpublishing failed, the connection is going away: %s", error)
        await media.aclose()


class _Outlet(LocalTrack):
    """The track as its pump sees it; it remembers whether it was the track that ended."""

    def __init__(self, track: LocalTrack) -> None:
        self._track = track
        self.is_cut = False
        self.is_open = True
        self.muted = 0
        """Frames that were kept back."""

    @property
    def info(self) -> TrackInfo:
        return self._track.info

    def cut(self) -> None:
        """Let no more frames through."""
        self.is_cut = True

    async def write(self, frame: Frame) -> None:
        if self.is_cut:
            raise Closed("nothing is sent any more")
        if not self.is_open:
            self.muted += 1
            return
        try:
            await self._track.write(frame)
        except Closed:
            self.is_cut = True
            raise

    async def set_muted(self, muted: bool) -> None:
        await self._track.set_muted(muted)

    async def unpublish(self) -> None:
        await self._track.unpublish()
