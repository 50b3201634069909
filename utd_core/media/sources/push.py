"""Sources that the application fills: speech synthesis, a capture device, another stream.

Pushing never waits. A full queue loses frames by its named policy and counts them; `drain()` is there for a
producer that is faster than real time. Call `push` on the event loop's thread; from another thread go through
`loop.call_soon_threadsafe(source.push_pcm, pcm)`.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from ...concurrency import BoundedQueue, Overflow, QueueStatistics
from ...errors import Closed, InvalidFrame
from ..checks import check_capacity, check_choice
from ..frames import AudioFrame, PixelFormat, VideoFrame
from ..pcm import PcmSlicer
from .base import AudioSourceBase, VideoSourceBase

T = TypeVar("T")


class _Inbox(Generic[T]):
    """A bounded queue with an end, and a low-water mark to wait for."""

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        check_capacity(capacity)
        self.queue: BoundedQueue[T] = BoundedQueue(capacity, check_choice(Overflow, overflow))
        self._low_water = capacity // 2
        self._drained = asyncio.Event()

    def put(self, item: T) -> bool:
        if self.queue.closed:
            raise Closed("this source has ended; frames can no longer be pushed")
        return self.queue.put(item)

    async def get(self) -> T | None:
        try:
            item = await anext(self.queue)
        except StopAsyncIteration:
            return None
        if len(self.queue) <= self._low_water:
            self._drained.set()
        return item

    async def drain(self) -> None:
        while len(self.queue) > self._low_water:
            if self.queue.closed:
                raise Closed("this source has ended; there is nothing to drain for")
            self._drained.clear()
            await self._drained.wait()

    def close(self, error: Exception | None = None) -> None:
        self.queue.close(error)
        self._drained.set()


class PushAudioSource(AudioSourceBase):
    """Audio that the application pushes, as frames or as PCM of any length.

    `capacity`: frames held (50 frames of 20 ms are one second). `overflow`: what a full queue does; the default
    drops the oldest frame, so what is heard is never more than `capacity` frames old. Timestamps are the place
    in the stream, whatever the pushed frames say.
    """

    def __init__(
        self,
        *,
        sample_rate: int = 48_000,
        channels: int = 1,
        frame_ms: int = 20,
        capacity: int = 50,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> None:
        super().__init__(sample_rate, channels, frame_ms)
        self._inbox: _Inbox[bytes] = _Inbox(capacity, overflow)
        self._slicer = PcmSlicer(self.frame_bytes)

    def push(self, frame: AudioFrame) -> int:
        """Add a frame of any length. Returns how many frames the queue lost for it.

        Raises `InvalidFrame` for another rate or channel count, `Closed` after `end()` or `aclose()`.
        """
        if not isinstance(frame, AudioFrame):
            raise InvalidFrame(f"this source takes audio frames, got {type(frame).__name__}")
        if frame.sample_rate != self.sample_rate or frame.channels != self.channels:
            raise InvalidFrame(
                f"this source takes {self.format}, got {frame.sample_rate} Hz with {frame.channels} channel(s); "
                "convert first, or make the source with the format of the frames"
            )
        return self.push_pcm(frame.data)

    def push_pcm(self, pcm: bytes | bytearray | memoryview) -> int:
        """Add interleaved int16 PCM of any length; what does not fill a frame waits for the next call.

        Returns how many frames the queue lost for it. Raises `InvalidFrame` when it is no bytes, `Closed`
        after `end()` or `aclose()`.
        """
        if not isinstance(pcm, bytes | bytearray | memoryview):
            raise InvalidFrame(f"PCM must be bytes of int16 samples, got {type(pcm).__name__}")
        self._check_open()
        lost = 0
        for data in self._slicer.push(bytes(pcm)):
            lost += not self._inbox.put(data)
        return lost

    def end(self) -> None:
        """No more frames: the reader gets what is held, the last frame filled up with silence, then None."""
        if self._closed or self._inbox.queue.closed:
            return
        last = self._slicer.flush()
        if last is not None:
            self._inbox.put(last)
        self._inbox.close()

    async def drain(self) -> None:
        """Wait until at most half of the capacity is held. Raises `Closed` when the source ends."""
        self._check_open()
        await self._inbox.drain()

    async def read(self) -> AudioFrame | None:
        self._check_open()
        data = await self._inbox.get()
        self._check_open()
        return None if data is None else self._stamp(data)

    async def aclose(self) -> None:
        """Drop what is held. A waiting reader or `drain()` gets `Closed`."""
        self._closed = True
        self._inbox.close(Closed("the source was closed"))

    def statistics(self) -> QueueStatistics:
        """Frames pushed, read, lost and waiting."""
        return self._inbox.queue.statistics()


class PushVideoSource(VideoSourceBase):
    """Video that the application pushes, I420 or RGBA, all of one size.

    `capacity`: frames held; few, because pictures are large and a late picture is worthless. `overflow`: what a
    full queue does. Timestamps are the place in the stream, whatever the pushed frames say.
    """

    def __init__(
        self,
        width: int = 640,
        height: int = 480,
        framerate: float = 30.0,
        *,
        capacity: int = 4,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> None:
        super().__init__(width, height, framerate)
        self._inbox: _Inbox[tuple[bytes, PixelFormat]] = _Inbox(capacity, overflow)

    def push(self, frame: VideoFrame) -> int:
        """Add a frame. Returns how many frames the queue lost for it (0 or 1).

        Raises `InvalidFrame` for another size, `Closed` after `end()` or `aclose()`.
        """
        if not isinstance(frame, VideoFrame):
            raise InvalidFrame(f"this source takes video frames, got {type(frame).__name__}")
        if (frame.width, frame.height) != (self.width, self.height):
            raise InvalidFrame(
                f"this source takes {self.width}x{self.height} pictures, got {frame.width}x{frame.height}; scale first"
            )
        self._check_open()
        return int(not self._inbox.put((frame.data, frame.format)))

    def end(self) -> None:
        """No more frames: the reader gets what is held, then None."""
        if not self._closed:
            self._inbox.close()

    async def drain(self) -> None:
        """Wait until at most half of the capacity is held. Raises `Closed` when the source ends."""
        self._check_open()
        await self._inbox.drain()

    async def read(self) -> VideoFrame | None:
        self._check_open()
        item = await self._inbox.get()
        self._check_open()
        if item is None:
            return None
        data, pixels = item
        return VideoFrame(data, self.width, self.height, pixels, self._next_timestamp())

    async def aclose(self) -> None:
        """Drop what is held. A waiting reader or `drain()` gets `Closed`."""
        self._closed = True
        self._inbox.close(Closed("the source was closed"))

    def statistics(self) -> QueueStatistics:
        """Frames pushed, read, lost and waiting."""
        return self._inbox.queue.statistics()
