"""What aiortc begins by itself once both descriptions are there, ended before its connection is closed.

A task of its own looks for the way, shakes hands and starts senders and receivers. aiortc closes without it: then it
goes on, and starts what nobody stops any more. Where a release of aiortc connects in another way, that is left alone;
`tests/webrtc_p2p/test_cancelling.py` notices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiortc import RTCPeerConnection

_AGAIN = 0.05
"""Seconds from one cancellation to the next."""
_CONNECT = "_RTCPeerConnection__connect"


class Connecting:
    """The tasks of one peer connection that connect it. `failed(error)` hears of one that does not come to its end."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over = False

    def adopt(self, connection: RTCPeerConnection) -> None:
        """From now on this connection connects here."""
        if hasattr(connection, _CONNECT):
            setattr(connection, _CONNECT, partial(self._run, getattr(connection, _CONNECT)))

    async def stop(self) -> None:
        """End what is under way, and begin nothing more. Idempotent."""
        self._over = True
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            # Again and again: the handshake waits with `asyncio.wait_for`, which up to Python 3.11 loses a cancellation
            # that comes in the same moment as a packet.
            await asyncio.wait(self._tasks, timeout=_AGAIN)

    async def _run(self, connect: Callable[[], Awaitable[None]]) -> None:
        if self._over:
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await connect()
        except Exception as error:  # noqa: BLE001  # aiortc raises anything for what the other side described
            self._failed(error)
        finally:
            self._tasks.discard(task)
