"""Sinks that keep frames in memory: all of them for a test, or a stream of them for a reader."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from ...concurrency import BoundedQueue, Overflow, QueueStatistics
from ...errors import Closed
from ..checks import check_capacity, check_choice
from ..frames import AudioFrame, Frame, VideoFrame


class FrameCollector:
    """Keeps the last `capacity` frames (3,000 frames of 20 ms are one minute); `dropped` counts older ones."""

    def __init__(self, capacity: int = 3_000) -> None:
        check_capacity(capacity)
        self._frames: deque[Frame] = deque(maxlen=capacity)
        self._taken = 0
        self._changed = asyncio.Event()
        self._closed = False

    async def write(self, frame: Frame) -> None:
        """Keep a frame. Raises `Closed` after `aclose()`."""
        if self._closed:
            raise Closed("this collector was closed; make a new one")
        self._frames.append(frame)
        self._taken += 1
        self._changed.set()

    @property
    def frames(self) -> tuple[Frame, ...]:
        """What is kept, oldest first."""
        return tuple(self._frames)

    @property
    def audio(self) -> tuple[AudioFrame, ...]:
        return tuple(frame for frame in self._frames if isinstance(frame, AudioFrame))

    @property
    def video(self) -> tuple[VideoFrame, ...]:
        return tuple(frame for frame in self._frames if isinstance(frame, VideoFrame))

    @property
    def pcm(self) -> bytes:
        """The kept audio frames' PCM in one piece, whatever their timestamps."""
        return b"".join(frame.data for frame in self.audio)

    @property
    def taken(self) -> int:
        """Frames written since the beginning."""
        return self._taken

    @property
    def dropped(self) -> int:
        """Frames that are no longer kept."""
        return self._taken - len(self._frames)

    async def wait_for(self, count: int) -> None:
        """Wait until `count` frames were written in all. Raises `Closed` when the collector closes before."""
        while self._taken < count:
            if self._closed:
                raise Closed(f"the collector closed after {self._taken} of {count} frames")
            self._changed.clear()
            await self._changed.wait()

    async def aclose(self) -> None:
        """Take no more frames; what is kept stays. Idempotent."""
        self._closed = True
        self._changed.set()


class FrameStream:
    """A sink that is read with `async for`: what is written comes out, oldest first, until `aclose()`.

    A reader that is `capacity` frames behind loses frames by the policy; `statistics()` counts them.
    """

    def __init__(self, capacity: int = 50, overflow: Overflow = Overflow.DROP_OLDEST) -> None:
        check_capacity(capacity)
        self._queue: BoundedQueue[Frame] = BoundedQueue(capacity, check_choice(Overflow, overflow))

    async def write(self, frame: Frame) -> None:
        """Hand on a frame, without waiting. Raises `Closed` after `aclose()`."""
        if self._queue.closed:
            raise Closed("this frame stream was closed; make a new one")
        self._queue.put(frame)

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        return await anext(self._queue)

    def statistics(self) -> QueueStatistics:
        return self._queue.statistics()

    async def aclose(self) -> None:
        """The reader gets what is held, then the end. Idempotent."""
        self._queue.close()
