"""The frames of one remote track: read from the SDK while somebody wants them, and handed to every reader."""

from __future__ import annotations

import asyncio
import ctypes
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable
from typing import Any

from utd_core.concurrency import BoundedQueue
from utd_core.media.events import TrackInfo, TrackKind
from utd_core.media.frames import AudioFrame, Frame, PixelFormat, VideoFrame

from .exchange import FrameStream, Received
from .sdk import audio_stream, video_stream

SOUNDS_WAITING, PICTURES_WAITING = 50, 15
"""Frames that may wait for a busy event loop: a second of sound, half a second of pictures."""
PICTURES_QUEUED = 3
"""Pictures that may wait inside the native library. Unless it is told, it keeps one, and a moment's delay loses one."""
SAMPLE_RATE = 48_000
FRAME_MS = 20

INAUDIBLE = 8
"""Of 32767 (-72 dBFS): sound below this is what the receiver makes up where nothing is sent."""
COARSELY = 24
"""Every so manieth sample tells whether sound is heard; only what is near silence is looked at closely."""
SILENCE_HELD_MS = 500
"""Silence that is handed on, which the pauses of a sentence are; after that frames come again when there is something
to hear."""


class Feed(ABC):
    """Frames of a track as long as it is subscribed; the SDK's track behind it may be another one after a reconnect.

    Timestamps begin at 0 with the first frame and follow real time from there. `wanted(whether)` is called when the
    first reader comes and when the last one goes.
    """

    def __init__(self, info: TrackInfo, wanted: Callable[[bool], None]) -> None:
        self.info = info
        self.count = self.bytes = 0
        self._wanted = wanted
        self._queues: list[BoundedQueue[Frame]] = []
        self._track: Any = None
        self._stream: FrameStream | None = None
        self._began: float | None = None
        self._next_us = 0

    @staticmethod
    def of(info: TrackInfo, is_stereo: bool, wanted: Callable[[bool], None]) -> Feed:
        """For a track of either kind."""
        if info.kind is TrackKind.AUDIO:
            return AudioFeed(info, is_stereo, wanted)
        return VideoFeed(info, wanted)

    @property
    def is_wanted(self) -> bool:
        return bool(self._queues)

    def attach(self, queue: BoundedQueue[Frame]) -> None:
        """Put every frame into this queue too."""
        self._queues.append(queue)
        if len(self._queues) == 1:
            self._wanted(True)
            self._start()

    def detach(self, queue: BoundedQueue[Frame]) -> None:
        """No more frames for this queue. Idempotent."""
        if queue in self._queues:
            self._queues.remove(queue)
            if not self._queues:
                self._stop()
                self._wanted(False)

    def follow(self, track: Any) -> None:
        """Take the frames of this track of the SDK, from now on."""
        if track is not self._track:
            self._stop()
            self._track = track
            if self._queues:
                self._start()

    def close(self) -> None:
        """The subscription has ended, and with it every reader. Idempotent."""
        self._stop()
        self._track = None
        queues, self._queues = self._queues, []
        for queue in queues:
            queue.close()

    def _start(self) -> None:
        if self._track is not None and self._stream is None:
            self._stream = self._open(self._track)

    def _stop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _hand_out(self, frame: Frame) -> None:
        self.count += 1
        self.bytes += len(frame.data)
        for queue in self._queues:
            queue.put(frame)

    def _elapsed_us(self) -> int:
        """Microseconds since the first frame."""
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        return int((now - self._began) * 1_000_000)

    @abstractmethod
    def _open(self, track: Any) -> FrameStream:
        """The native library's frames of the SDK's track."""


class AudioFeed(Feed):
    """Sound. Where nothing is sent the SDK makes up silence without end, which is not handed on."""

    def __init__(self, info: TrackInfo, is_stereo: bool, wanted: Callable[[bool], None]) -> None:
        super().__init__(info, wanted)
        self._channels = 2 if is_stereo else 1
        self._silent_ms = SILENCE_HELD_MS

    def _open(self, track: Any) -> FrameStream:
        self._next_us = max(self._next_us, self._elapsed_us())
        return FrameStream(audio_stream(track, SAMPLE_RATE, self._channels, FRAME_MS), self._take, SOUNDS_WAITING)

    def _take(self, received: Received) -> None:
        heard = received.frame.info
        rate, channels, samples = heard.sample_rate, heard.num_channels, heard.samples_per_channel
        data = ctypes.string_at(heard.data_ptr, 2 * channels * samples)
        timestamp_us = self._next_us
        self._next_us += samples * 1_000_000 // rate
        if _is_inaudible(data):
            self._silent_ms += FRAME_MS
            if self._silent_ms > SILENCE_HELD_MS:
                return
        else:
            self._silent_ms = 0
        self._hand_out(AudioFrame(data, rate, channels, timestamp_us))


class VideoFeed(Feed):
    """Pictures."""

    def __init__(self, info: TrackInfo, wanted: Callable[[bool], None]) -> None:
        super().__init__(info, wanted)
        self._offset_us: int | None = None

    def _open(self, track: Any) -> FrameStream:
        self._offset_us = None
        return FrameStream(video_stream(track, PICTURES_QUEUED), self._take, PICTURES_WAITING)

    def _take(self, received: Received) -> None:
        seen, taken_us = received.buffer.info, received.timestamp_us
        if self._offset_us is None:
            self._offset_us = max(self._next_us, self._elapsed_us()) - taken_us
        timestamp_us = max(self._next_us, taken_us + self._offset_us)
        self._next_us = timestamp_us + 1
        across, down = seen.width, seen.height
        width, height = across & ~1, down & ~1
        if not width or not height:
            return
        data = ctypes.string_at(seen.data_ptr, across * down + 2 * ((across + 1) // 2) * ((down + 1) // 2))
        if (width, height) != (across, down):
            data = _cropped(data, across, down)
        self._hand_out(VideoFrame(data, width, height, PixelFormat.I420, timestamp_us))


def _is_inaudible(data: bytes) -> bool:
    samples = array("h", data)
    coarse = samples[::COARSELY]
    if max(coarse) >= INAUDIBLE or min(coarse) <= -INAUDIBLE:
        return False
    return max(samples) < INAUDIBLE and min(samples) > -INAUDIBLE


def _cropped(picture: bytes, across: int, down: int) -> bytes:
    """I420 without the last column or row, which an odd side has over: chroma planes stay as they are, luma loses."""
    data = memoryview(picture)
    width, height = across & ~1, down & ~1
    chroma_across, chroma_down = (across + 1) // 2, (down + 1) // 2
    planes = [(0, across, width, height)]
    start = across * down
    for _ in range(2):
        planes.append((start, chroma_across, width // 2, height // 2))
        start += chroma_across * chroma_down
    return b"".join(
        data[first + row * stride : first + row * stride + length]
        for first, stride, length, rows in planes
        for row in range(rows)
    )
