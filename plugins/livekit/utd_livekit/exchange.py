"""Where the native library's news of frames is told apart: one look at each event, in the library's own thread.

The SDK asks every room, stream and writer of the process about every event, wakes some that it is not for, and hands a
frame over twice; a process with many tracks pays that for each of them. Here news of a frame finds the one whom it is
for, and goes no further; all else goes the SDK's way.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from .sdk import FfiEvent, FfiRequest, drop, intercept, request

Received: TypeAlias = Any
"""`AudioFrameReceived` or `VideoFrameReceived` of the SDK's protocol; the frame's bytes are good until it is taken."""

_FIRST_NUMBER = 1 << 62
"""The library numbers the SDK's requests from 1."""


class Exchange:
    """One for the process; it listens from its first use on."""

    def __init__(self) -> None:
        self._opening = threading.Lock()
        self._starting = threading.Lock()
        self._is_listening = False
        self._streams: dict[int, FrameStream] = {}
        self._answers: dict[int, Callable[[str], None]] = {}
        self._numbers = itertools.count(_FIRST_NUMBER)

    def open(self, stream: FrameStream, wanted: FfiRequest) -> int:
        """Open a stream of the library; its number."""
        self._listen()
        with self._opening:
            # Its first frame may come before the answer is read; `_look` waits for its number then.
            answer = request(wanted)
            opened = int(getattr(answer, answer.WhichOneof("message") or "").stream.handle.id)
            self._streams[opened] = stream
        return opened

    def forget(self, opened: int) -> None:
        """The library has said its last word about a stream."""
        self._streams.pop(opened, None)

    def ask(self, answered: Callable[[str], None]) -> int:
        """A number for a request; `answered` is called with what went wrong, or "", in the library's thread."""
        self._listen()
        number = next(self._numbers)
        self._answers[number] = answered
        return number

    def withdraw(self, number: int) -> None:
        """The request was not made."""
        self._answers.pop(number, None)

    def _listen(self) -> None:
        if not self._is_listening:
            with self._starting:
                if not self._is_listening:
                    intercept(self._look)
                    self._is_listening = True

    def _look(self, event: FfiEvent) -> bool:
        kind = event.WhichOneof("message")
        if kind == "capture_audio_frame":
            answered = self._answers.pop(event.capture_audio_frame.async_id, None)
            if answered is not None:
                answered(event.capture_audio_frame.error)
            return answered is not None
        if kind == "audio_stream_event":
            return self._tell(event.audio_stream_event)
        if kind == "video_stream_event":
            return self._tell(event.video_stream_event)
        return False

    def _tell(self, news: Any) -> bool:
        stream = self._streams.get(news.stream_handle)
        if stream is None:
            with self._opening:
                stream = self._streams.get(news.stream_handle)
            if stream is None:
                return False
        stream.tell(news)
        return True


EXCHANGE = Exchange()


class FrameStream:
    """The frames of a remote track, as the library decodes them.

    `take` gets them on the event loop, in order, and copies what it wants to keep. At most `capacity` wait for a loop
    that is busy; one more, and the oldest is dropped.
    """

    def __init__(self, wanted: FfiRequest, take: Callable[[Received], None], capacity: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._take = take
        self._capacity = capacity
        self._waiting: deque[Received] = deque()
        self._is_called = False
        self._closed = False
        self._opened = EXCHANGE.open(self, wanted)

    def close(self) -> None:
        """No more frames. Idempotent."""
        if not self._closed:
            self._closed = True
            self._drop_all()
            # The library ends it, says so, and it is forgotten; until then frames may come that must be given back.
            drop(self._opened)

    def tell(self, news: Any) -> None:
        """A frame, or the end; in the library's thread."""
        if not news.HasField("frame_received"):
            EXCHANGE.forget(news.stream_handle)
            return
        self._waiting.append(news.frame_received)
        if self._closed:
            self._drop_all()
        elif len(self._waiting) > self._capacity:
            self._drop_oldest()
        if not self._is_called:
            self._is_called = True
            try:
                self._loop.call_soon_threadsafe(self._hand_over)
            except RuntimeError:
                # The loop was closed and this stream was not.
                self._drop_all()

    def _hand_over(self) -> None:
        self._is_called = False
        while (received := self._next()) is not None:
            try:
                if not self._closed:
                    self._take(received)
            finally:
                _give_back(received)

    def _drop_oldest(self) -> bool:
        received = self._next()
        if received is not None:
            _give_back(received)
        return received is not None

    def _drop_all(self) -> None:
        while self._drop_oldest():
            pass

    def _next(self) -> Received | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None


def _give_back(received: Received) -> None:
    """Let the library reuse the frame's memory."""
    owned = received.frame if received.DESCRIPTOR.name == "AudioFrameReceived" else received.buffer
    drop(owned.handle.id)
