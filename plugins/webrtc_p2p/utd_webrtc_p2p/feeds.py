"""Where aiortc's encoders get their frames from: one feed for each source, for as long as its peer connection lives.

A feed without frames costs nothing. Its timestamps run with the clock, whatever tracks come and go in it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from utd_core.concurrency import BoundedQueue, Clock, Overflow
from utd_core.errors import Closed
from utd_core.media.frames import VideoFrame

from .capabilities import SAMPLE_RATE
from .conversion import VIDEO_CLOCK, picture_out
from .opus import PIECE_SAMPLES, OpusEncoder

T = TypeVar("T")

_PIECES = 25
"""Half a second of sound, for an encoder that is held up."""
_PICTURES = 2
_SLACK = 0.25
"""Seconds by which frames may come early or late and still be one stream."""
_TAIL = 5
"""Silent pieces that push the end of what was said out of the other side's jitter buffer, which holds four."""


class RunningTime:
    """Timestamps of frames that follow each other, and that keep up with the clock where there was a pause."""

    def __init__(self, clock: Clock, rate: int) -> None:
        self._clock = clock
        self._rate = rate
        self._began = clock.monotonic()
        self._next = 0

    def take(self, length: int) -> int:
        """The timestamp of a frame that comes now and lasts `length` ticks."""
        now = int((self._clock.monotonic() - self._began) * self._rate)
        if now - self._next > _SLACK * self._rate:
            self._next = now
        taken = self._next
        self._next += length
        return taken

    def at_least(self, elapsed_us: int, origin: int) -> int:
        """The timestamp `elapsed_us` after the tick `origin`, and later than the one before."""
        taken = max(self._next, origin + elapsed_us * self._rate // 1_000_000)
        self._next = taken + 1
        return taken


class Feed(MediaStreamTrack, Generic[T]):
    """A track of aiortc that is written into."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._frames: BoundedQueue[tuple[T, int]] = BoundedQueue(capacity, Overflow.DROP_OLDEST)

    async def _next(self) -> tuple[T, int]:
        try:
            return await self._frames.get()
        except Closed:
            raise MediaStreamError from None

    def stop(self) -> None:
        """No frame goes out any more. Idempotent."""
        super().stop()
        self._frames.close()


@dataclass(frozen=True, slots=True)
class Piece:
    """20 ms of sound at 48 kHz, and how it is to be encoded. `bitrate`: bit/s, None for what is usual."""

    data: bytes
    channels: int
    bitrate: int | None = None


class SoundFeed(Feed[Piece]):
    """Takes pieces, and gives packets."""

    kind = "audio"

    def __init__(self, clock: Clock) -> None:
        super().__init__(_PIECES)
        self._time = RunningTime(clock, SAMPLE_RATE)
        self._last: Piece | None = None
        self._encoder: OpusEncoder | None = None

    def put(self, piece: Piece) -> bool:
        """Send a piece; False where an older one was left out for it."""
        self._last = piece
        return self._frames.put((piece, self._time.take(PIECE_SAMPLES)))

    def finish(self) -> None:
        """The sound pauses here: let the other side hear it to its end."""
        if self._last is not None:
            silence = replace(self._last, data=bytes(len(self._last.data)))
            for _ in range(_TAIL):
                self.put(silence)

    async def recv(self) -> av.Packet[Any]:
        """The next packet."""
        piece, pts = await self._next()
        encoder = self._encoder
        if encoder is None or (encoder.channels, encoder.bitrate) != (piece.channels, piece.bitrate):
            encoder = self._encoder = OpusEncoder(piece.channels, piece.bitrate)
        return await asyncio.get_running_loop().run_in_executor(None, encoder.encode, piece.data, pts)


class PictureFeed(Feed[VideoFrame]):
    """Takes pictures; their timestamps give the pace."""

    kind = "video"

    def __init__(self, clock: Clock) -> None:
        super().__init__(_PICTURES)
        self._time = RunningTime(clock, VIDEO_CLOCK)
        self._origin = self._first_us = self._last_us = 0

    def put(self, picture: VideoFrame) -> bool:
        """Send a picture; False where an older one was left out for it."""
        stamp = picture.timestamp_us
        if not self._last_us <= stamp <= self._last_us + 1_000_000 * _SLACK:
            self._origin, self._first_us = self._time.take(1), stamp
        self._last_us = stamp
        return self._frames.put((picture, self._time.at_least(stamp - self._first_us, self._origin)))

    def finish(self) -> None:
        """Nothing to do: a picture is complete when it is there."""

    async def recv(self) -> av.VideoFrame:
        """The next picture for the encoder."""
        return picture_out(*await self._next())
