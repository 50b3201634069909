"""One stay of a session: from joining to the end, whoever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio

from ...errors import Closed, DeadlineExceeded, ErrorCode, MediaError, Unavailable, UTDStreamException
from ..models import EndReason, SessionEnd

_REASONS = {
    ErrorCode.BANNED: EndReason.BANNED,
    ErrorCode.ROOM_ENDED: EndReason.ROOM_ENDED,
    ErrorCode.CALL_ENDED: EndReason.CALL_ENDED,
}


def end_of(error: UTDStreamException) -> SessionEnd:
    """The end of a session that was refused with `error`."""
    lost = isinstance(error, MediaError | Unavailable | DeadlineExceeded | Closed)
    otherwise = EndReason.CONNECTION_LOST if lost else EndReason.REFUSED
    reason = next((reason for code, reason in _REASONS.items() if code == error.code), otherwise)
    return SessionEnd(reason, error.message, error)


class Visit:
    """Runs `stay(visit)` as one task whose `finally` says goodbye, so that no end, however sudden, skips it.

    `stay` calls `joined()` once it is in; `finish(end)` ends it from anywhere, and the first end counts.
    """

    def __init__(self, stay: Callable[[Visit], Awaitable[None]]) -> None:
        self._stay = stay
        self._scope = anyio.CancelScope()
        self._settled = asyncio.Event()
        self._done = asyncio.Event()
        self.is_joined = False
        self.end: SessionEnd | None = None
        self.failure: Exception | None = None

    async def run(self) -> None:
        """The task. What `stay` raises becomes the end."""
        try:
            if not self.is_finishing:
                with self._scope:
                    await self._stay(self)
        except UTDStreamException as error:
            self.failure = error
            self._end(end_of(error))
        except Exception as error:
            self.failure = error
            raise
        finally:
            self.conclude()

    def conclude(self) -> None:
        """There is nothing more to wait for. Idempotent."""
        self._end(SessionEnd(EndReason.CLOSED, "the session was closed"))
        self._settled.set()
        self._done.set()

    def joined(self) -> None:
        """The session is in."""
        self.is_joined = True
        self._settled.set()

    def finish(self, end: SessionEnd) -> None:
        """End the stay. Idempotent: later ends change nothing."""
        self._end(end)
        self._scope.cancel()

    @property
    def is_finishing(self) -> bool:
        return self.end is not None

    async def wait_joined(self) -> None:
        """Wait until the session is in, or will not be."""
        await self._settled.wait()

    async def wait_done(self) -> None:
        """Wait until goodbye was said."""
        await self._done.wait()

    def _end(self, end: SessionEnd) -> None:
        if self.end is None:
            self.end = end
