"""Reading a remote track."""

from __future__ import annotations

from collections.abc import AsyncIterator

from utd_core.concurrency import BoundedQueue, Overflow, QueueStatistics
from utd_core.media.backend import FrameReader
from utd_core.media.events import TrackInfo
from utd_core.media.frames import Frame

from .tracks import Subscription


class MockFrameReader(FrameReader[Frame]):
    """Gets every frame of its subscription from the moment it was made."""

    def __init__(self, subscription: Subscription, capacity: int, overflow: Overflow) -> None:
        self._subscription = subscription
        self._frames: BoundedQueue[Frame] = BoundedQueue(capacity, overflow)
        subscription.attach(self._frames)

    @property
    def track(self) -> TrackInfo:
        return self._subscription.track.info

    def __aiter__(self) -> AsyncIterator[Frame]:
        # The queue itself, so that a loop over many tracks does not pay for a wrapper per frame.
        return self._frames

    async def __anext__(self) -> Frame:
        return await self._frames.__anext__()

    def statistics(self) -> QueueStatistics:
        return self._frames.statistics()

    async def aclose(self) -> None:
        self._subscription.detach(self._frames)
        self._frames.close()
