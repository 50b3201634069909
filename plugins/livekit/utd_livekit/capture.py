"""Sound on its way into a source of the SDK."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from livekit import rtc

from utd_core.errors import MediaError
from utd_core.media.frames import BYTES_PER_SAMPLE

from .exchange import EXCHANGE
from .sdk import capture


class AudioCapture:
    """Hands over one frame at a time, in order, whoever writes and whoever is cancelled meanwhile.

    The native library takes no second frame before it has answered to the first, which it does at once while little
    waits to be sent. So a write does not wait for its own answer but for the one before.
    """

    def __init__(self, source: rtc.AudioSource) -> None:
        self._loop = asyncio.get_running_loop()
        self._source = source
        self._bytes_per_sample = BYTES_PER_SAMPLE * source.num_channels
        self._sent_at = 0.0
        # A frame that the library has not answered to. Set here, and cleared in its thread.
        self._is_held = False
        self._wrong = ""
        self._is_awaited = False
        self._free = asyncio.Event()

    @property
    def is_silent(self) -> bool:
        """All that was written is sent."""
        return self._loop.time() >= self._sent_at

    async def write(self, data: bytes) -> None:
        """Hand over int16 samples when those before are taken. Raises `MediaError` when they were not."""
        while self._is_held:
            self._free.clear()
            self._is_awaited = True
            # The answer may have come while nobody was said to wait for it.
            if self._is_held:
                await self._free.wait()
        if self._wrong:
            wrong, self._wrong = self._wrong, ""
            raise MediaError(wrong)
        samples = len(data) // self._bytes_per_sample
        # Until it answers the library may read the samples, though the track may have ended: the question keeps them.
        number = EXCHANGE.ask(partial(self._answered, data))
        self._is_held = True
        try:
            capture(self._source, data, samples, number)
        except BaseException:
            EXCHANGE.withdraw(number)
            self._is_held = False
            self._wake()
            raise
        self._sent_at = max(self._loop.time(), self._sent_at) + samples / self._source.sample_rate

    def close(self) -> None:
        """The track has ended: whoever waits to write need not. Idempotent."""
        self._is_held = False
        self._wrong = "the track has ended"
        self._wake()

    def _answered(self, _: bytes, wrong: str) -> None:
        self._wrong = self._wrong or wrong
        self._is_held = False
        if self._is_awaited:
            # The loop may have been closed meanwhile, with whoever waits.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._is_awaited = False
        self._free.set()
