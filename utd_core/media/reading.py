"""The reader of a remote track that a backend has: a queue that its frames are put into."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from ..concurrency import BoundedQueue, Overflow, QueueStatistics
from .backend import FrameReader
from .events import TrackInfo
from .frames import Frame


class Readable(Protocol):
    """A remote track that is received."""

    @property
    def info(self) -> TrackInfo: ...

    def attach(self, queue: BoundedQueue[Frame]) -> None:
        """Put every frame into this queue from now on, and close it when the track ends."""
        ...

    def detach(self, queue: BoundedQueue[Frame]) -> None:
        """No more frames for this queue. Idempotent."""
        ...


class QueueReader(FrameReader[Frame]):
    """Gets every frame of its track from the moment it was made."""

    def __init__(self, source: Readable, capacity: int, overflow: Overflow) -> None:
        self._source = source
        self._frames: BoundedQueue[Frame] = BoundedQueue(capacity, overflow)
        source.attach(self._frames)

    @property
    def track(self) -> TrackInfo:
        return self._source.info

    def __aiter__(self) -> AsyncIterator[Frame]:
        # The queue itself, so that a loop over many tracks does not pay for a wrapper per frame.
        return self._frames

    async def __anext__(self) -> Frame:
        return await self._frames.__anext__()

    def statistics(self) -> QueueStatistics:
        return self._frames.statistics()

    async def aclose(self) -> None:
        self._source.detach(self._frames)
        self._frames.close()
