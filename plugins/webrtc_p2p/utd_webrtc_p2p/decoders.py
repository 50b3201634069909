"""The decoder threads of aiortc, ended without holding up the event loop.

An `RTCRtpReceiver` waits for its decoder thread where it stops it: on the loop, for as long as a picture takes. Here
the thread is told to end, and waited for elsewhere. Where a release of aiortc keeps its threads in another way, that is
left alone, and works as it does there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

from aiortc import RTCRtpReceiver

_STOP = "_RTCRtpReceiver__stop_decoder"
_THREAD = "_RTCRtpReceiver__decoder_thread"
_QUEUE = "_RTCRtpReceiver__decoder_queue"


class DecoderThreads:
    """The threads of one peer connection that were told to end."""

    def __init__(self) -> None:
        self._ending: list[threading.Thread] = []

    def adopt(self, receivers: Iterable[RTCRtpReceiver]) -> None:
        """From now on these receivers end their threads here."""
        for receiver in receivers:
            if all(hasattr(receiver, name) for name in (_STOP, _THREAD, _QUEUE)):
                setattr(receiver, _STOP, lambda receiver=receiver: self._end(receiver))

    async def join(self) -> None:
        """Wait until all of them have ended."""
        ending, self._ending = self._ending, []
        if ending:
            await asyncio.get_running_loop().run_in_executor(None, _join, ending)

    def _end(self, receiver: Any) -> None:
        thread: threading.Thread | None = getattr(receiver, _THREAD)
        if thread is not None:
            getattr(receiver, _QUEUE).put(None)
            setattr(receiver, _THREAD, None)
            self._ending.append(thread)


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join()
