"""The frames of one remote track: read from the SDK while somebody wants them, and handed to every reader."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from array import array
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from livekit import rtc

from utd_core.concurrency import BoundedQueue, Overflow, QueueStatistics, TaskScope
from utd_core.media.backend import FrameReader
from utd_core.media.events import TrackInfo, TrackKind
from utd_core.media.frames import AudioFrame, Frame, PixelFormat, VideoFrame

SDK_CAPACITY = 50
"""Frames that the SDK may hold for us. We take them as they come, so this bounds what a stalled loop costs."""
SAMPLE_RATE = 48_000
FRAME_MS = 20

INAUDIBLE = 8
"""Of 32767 (-72 dBFS): sound below this is what the receiver makes up where nothing is sent."""
SILENCE_HELD_MS = 500
"""Silence that is handed on, which the pauses of a sentence are; after that frames come again when there is something
to hear."""


class FeedReader(FrameReader[Frame]):
    """Gets every frame from the moment it was made."""

    def __init__(self, feed: Feed, capacity: int, overflow: Overflow) -> None:
        self._feed = feed
        self.frames: BoundedQueue[Frame] = BoundedQueue(capacity, overflow)

    @property
    def track(self) -> TrackInfo:
        return self._feed.info

    def __aiter__(self) -> AsyncIterator[Frame]:
        # The queue itself, so that a loop over many tracks does not pay for a wrapper per frame.
        return self.frames

    async def __anext__(self) -> Frame:
        return await self.frames.__anext__()

    def statistics(self) -> QueueStatistics:
        return self.frames.statistics()

    async def aclose(self) -> None:
        self.frames.close()
        self._feed.detach(self)


class Feed(ABC):
    """Frames of a track as long as it is subscribed; the SDK's track behind it may be another one after a reconnect.

    Timestamps begin at 0 with the first frame and follow real time from there. `wanted(whether)` is called when the
    first reader comes and when the last one goes.
    """

    def __init__(self, info: TrackInfo, scope: TaskScope, wanted: Callable[[bool], None]) -> None:
        self.info = info
        self.count = self.bytes = 0
        self._scope = scope
        self._wanted = wanted
        self._readers: list[FeedReader] = []
        self._track: Any = None
        self._pump: anyio.CancelScope | None = None
        self._began: float | None = None
        self._next_us = 0

    @staticmethod
    def of(info: TrackInfo, is_stereo: bool, scope: TaskScope, wanted: Callable[[bool], None]) -> Feed:
        """For a track of either kind, its work in `scope`."""
        if info.kind is TrackKind.AUDIO:
            return AudioFeed(info, is_stereo, scope, wanted)
        return VideoFeed(info, scope, wanted)

    @property
    def is_wanted(self) -> bool:
        return bool(self._readers)

    def read(self, capacity: int, overflow: Overflow) -> FeedReader:
        """A new reader."""
        reader = FeedReader(self, capacity, overflow)
        self._readers.append(reader)
        if len(self._readers) == 1:
            self._wanted(True)
            self._start()
        return reader

    def detach(self, reader: FeedReader) -> None:
        """A reader reads no more. Idempotent."""
        if reader in self._readers:
            self._readers.remove(reader)
            if not self._readers:
                self._stop()
                self._wanted(False)

    def attach(self, track: Any) -> None:
        """Read from this track of the SDK, from now on."""
        if track is not self._track:
            self._stop()
            self._track = track
            if self._readers:
                self._start()

    def close(self) -> None:
        """The subscription has ended, and with it every reader. Idempotent."""
        self._stop()
        self._track = None
        readers, self._readers = self._readers, []
        for reader in readers:
            reader.frames.close()

    def _start(self) -> None:
        if self._track is not None and self._pump is None and self._scope.is_open:
            self._pump = anyio.CancelScope()
            self._scope.start(self._run, self._track, self._pump, name=f"frames:{self.info.id}")

    def _stop(self) -> None:
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.cancel()

    async def _run(self, track: Any, pump: anyio.CancelScope) -> None:
        with pump:
            stream = self._open(track)
            try:
                async for event in stream:
                    frame = self._take(event)
                    if frame is not None and self._pump is pump:
                        self._hand_out(frame)
            finally:
                with anyio.CancelScope(shield=True):
                    await stream.aclose()

    def _hand_out(self, frame: Frame) -> None:
        self.count += 1
        self.bytes += len(frame.data)
        for reader in self._readers:
            reader.frames.put(frame)

    def _elapsed_us(self) -> int:
        """Microseconds since the first frame."""
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        return int((now - self._began) * 1_000_000)

    @abstractmethod
    def _open(self, track: Any) -> Any:
        """The SDK's stream of frames."""

    @abstractmethod
    def _take(self, event: Any) -> Frame | None:
        """Our frame for the SDK's; None for one that is not handed on."""


class AudioFeed(Feed):
    """Sound. Where nothing is sent the SDK makes up silence without end, which is not handed on."""

    def __init__(self, info: TrackInfo, is_stereo: bool, scope: TaskScope, wanted: Callable[[bool], None]) -> None:
        super().__init__(info, scope, wanted)
        self._channels = 2 if is_stereo else 1
        self._silent_ms = SILENCE_HELD_MS

    def _open(self, track: rtc.RemoteAudioTrack) -> rtc.AudioStream:
        self._next_us = max(self._next_us, self._elapsed_us())
        return rtc.AudioStream.from_track(
            track=track,
            capacity=SDK_CAPACITY,
            sample_rate=SAMPLE_RATE,
            num_channels=self._channels,
            frame_size_ms=FRAME_MS,
        )

    def _take(self, event: rtc.AudioFrameEvent) -> AudioFrame | None:
        heard = event.frame
        data = bytes(heard.data.cast("b"))
        timestamp_us = self._next_us
        self._next_us += heard.samples_per_channel * 1_000_000 // heard.sample_rate
        if _is_inaudible(data):
            self._silent_ms += FRAME_MS
            if self._silent_ms > SILENCE_HELD_MS:
                return None
        else:
            self._silent_ms = 0
        return AudioFrame(data, heard.sample_rate, heard.num_channels, timestamp_us)


class VideoFeed(Feed):
    """Pictures."""

    def __init__(self, info: TrackInfo, scope: TaskScope, wanted: Callable[[bool], None]) -> None:
        super().__init__(info, scope, wanted)
        self._offset_us: int | None = None

    def _open(self, track: rtc.RemoteVideoTrack) -> rtc.VideoStream:
        self._offset_us = None
        return rtc.VideoStream.from_track(track=track, capacity=SDK_CAPACITY, format=rtc.VideoBufferType.I420)

    def _take(self, event: rtc.VideoFrameEvent) -> VideoFrame | None:
        seen = event.frame
        if self._offset_us is None:
            self._offset_us = max(self._next_us, self._elapsed_us()) - event.timestamp_us
        timestamp_us = max(self._next_us, event.timestamp_us + self._offset_us)
        self._next_us = timestamp_us + 1
        width, height = seen.width & ~1, seen.height & ~1
        if not width or not height:
            return None
        data = bytes(seen.data) if (width, height) == (seen.width, seen.height) else _cropped(seen, width, height)
        return VideoFrame(data, width, height, PixelFormat.I420, timestamp_us)


def _is_inaudible(data: bytes) -> bool:
    samples = array("h", data)
    return max(samples) < INAUDIBLE and min(samples) > -INAUDIBLE


def _cropped(frame: rtc.VideoFrame, width: int, height: int) -> bytes:
    """I420 without the last column or row, which an odd side has over: chroma planes stay as they are, luma loses."""
    data, across = memoryview(frame.data), frame.width
    chroma_across, chroma_down = (across + 1) // 2, (frame.height + 1) // 2
    planes = [(0, across, width, height)]
    start = across * frame.height
    for _ in range(2):
        planes.append((start, chroma_across, width // 2, height // 2))
        start += chroma_across * chroma_down
    return b"".join(
        bytes(data[first + row * stride : first + row * stride + length])
        for first, stride, length, rows in planes
        for row in range(rows)
    )
