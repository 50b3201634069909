"""One thing that this participant publishes, and the pump that feeds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import anyio

from ..concurrency import Clock
from ..errors import Closed
from ..media.backend import LocalTrack, PublishOptions
from ..media.events import TrackInfo
from ..media.frames import Frame
from ..media.pump import Pump, SourceEnd
from .devices import MediaSource


class PumpEnd(StrEnum):
    """Why a pump stopped by itself."""

    TRACK = "track"
    """The track ended: unpublished, its grant was taken away, or the connection is gone."""
    SOURCE = "source"
    """The source has no more frames, or was closed."""


@dataclass(eq=False, slots=True)
class Publication:
    """What is wanted (`media`, `muted`), and what there is (`track`, None while it cannot be published)."""

    media: MediaSource
    options: PublishOptions
    muted: bool = False
    track: LocalTrack | None = None
    pumping: anyio.CancelScope | None = field(default=None, repr=False)

    def attach(self, track: LocalTrack) -> anyio.CancelScope:
        """It is published as `track`; the scope in which its pump runs."""
        self.detach()
        self.track = track
        self.pumping = anyio.CancelScope()
        return self.pumping

    def detach(self) -> LocalTrack | None:
        """Stop pumping; the track it had."""
        track, self.track = self.track, None
        if self.pumping is not None:
            self.pumping.cancel()
            self.pumping = None
        return track


async def pump(media: MediaSource, track: LocalTrack, clock: Clock) -> PumpEnd:
    """Pump until the source or the track ends; neither is closed here. Raises what the source and the track raise."""
    outlet = _Outlet(track)
    await Pump(media, outlet, clock, at_end=SourceEnd.HOLD, close_source=False).run()
    return PumpEnd.TRACK if outlet.is_cut else PumpEnd.SOURCE


class _Outlet(LocalTrack):
    """The track as its pump sees it; it remembers whether it was the track that ended."""

    def __init__(self, track: LocalTrack) -> None:
        self._track = track
        self.is_cut = False

    @property
    def info(self) -> TrackInfo:
        return self._track.info

    async def write(self, frame: Frame) -> None:
        try:
            await self._track.write(frame)
        except Closed:
            self.is_cut = True
            raise

    async def set_muted(self, muted: bool) -> None:
        await self._track.set_muted(muted)

    async def unpublish(self) -> None:
        await self._track.unpublish()
