"""What one client is sent.

- A frame goes out at once, in the same step of the event loop: on the wire where the server lets us, else by running
  ASGI's `send`, which returns without waiting as long as the client reads.
- Once it has to wait, a task takes over and further frames wait in a queue of bounded length and size. A client that
  lets it overflow is cut off: there are no holes in what it gets, only an end.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any

import anyio
from starlette.types import Send

from ...concurrency import BoundedQueue, Overflow, TaskScope
from ...errors import Closed
from .codes import CloseCode
from .frames import Frame
from .settings import PusherSettings
from .stack import Wire

log = logging.getLogger("utd_core.server")

_ABNORMAL = 1006
_MOST_REASON = 123
"""Bytes of a reason in a WebSocket's close frame."""


class Outbox:
    """The sending half of a socket.

    `on_closing(code)` is called when the end begins, whoever begins it; from then on nothing is taken any more. `scope`
    is where the task runs that waits for a slow client.
    """

    __slots__ = (
        "_closing",
        "_held",
        "_held_bytes",
        "_on_closing",
        "_patience",
        "_scope",
        "_send",
        "_settings",
        "_wire",
    )

    def __init__(
        self,
        send: Send,
        wire: Wire | None,
        scope: TaskScope,
        settings: PusherSettings,
        on_closing: Callable[[int], None],
    ) -> None:
        self._send = send
        self._wire = wire
        self._scope = scope
        self._settings = settings
        self._on_closing = on_closing
        self._held: BoundedQueue[Frame] | None = None
        self._held_bytes = 0
        self._patience: anyio.CancelScope | None = None
        self._closing: dict[str, Any] | None = None

    @property
    def is_open(self) -> bool:
        return self._closing is None

    @property
    def waiting(self) -> int:
        """Bytes that wait for the client here."""
        return self._held_bytes

    def push(self, frame: Frame) -> None:
        """Send a frame, after those that were pushed before; never waits. Nothing happens after the end."""
        if self._closing is not None:
            return
        if self._held is not None:
            self._hold(self._held, frame)
            return
        try:
            if self._wire is not None and self._wire.write(frame.raw):
                return
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this client's alone
            self._failed(error)
            return
        self._begin(frame.message)

    def push_all(self, frames: Sequence[Frame]) -> None:
        """The same for several, in one piece where the server lets us."""
        if self._closing is None and self._held is None and self._wire is not None:
            try:
                if self._wire.write(b"".join([frame.raw for frame in frames])):
                    return
            except Exception as error:  # noqa: BLE001  # the same
                self._failed(error)
                return
        for frame in frames:
            self.push(frame)

    def close(self, code: int, reason: str) -> None:
        """End it after what was pushed. Idempotent: the first code counts."""
        if self._closing is None:
            self._closing = closing = closing_message(code, reason)
            self._on_closing(int(code))
            if self._held is None:
                self._begin(closing)

    def cut_off(self, code: int, reason: str) -> None:
        """End it now: what waits here is dropped. Idempotent."""
        if self._closing is not None:
            return
        self._drop_held()
        if self._held is not None and self._wire is not None:
            # The code goes into a buffer that is full, behind what the client has not read yet.
            self._wire.unblock()
        self.close(code, reason)

    def abort(self) -> None:
        """Cut the connection where the server lets us; nothing more is sent. Idempotent."""
        self._give_up()
        if self._wire is not None:
            self._wire.abort()

    def release(self) -> None:
        """The connection is gone: nothing is taken any more, and nobody is held. Idempotent."""
        if self._closing is None:
            self._closing = closing_message(_ABNORMAL, "")
        self._on_closing = _nobody

    def _begin(self, message: dict[str, Any]) -> None:
        """Send a message; a task goes on with it if it has to wait."""
        sending: Any = self._send(message)
        try:
            awaited = sending.send(None)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001  # each server has its own for a client that is gone
            self._failed(error)
            return
        self._held = BoundedQueue(self._settings.queue_frames, Overflow.CLOSE)
        self._patience = anyio.CancelScope()
        try:
            self._scope.start(self._go_on, self._held, self._patience, _Rest(sending, awaited), name="slow client")
        except Closed:
            sending.close()
            self._give_up()

    async def _go_on(self, held: BoundedQueue[Frame], patience: anyio.CancelScope, sending: Awaitable[None]) -> None:
        """Send the rest of a message, and everything that is waiting then."""
        with patience:
            if patience.cancel_called:
                return
            try:
                await sending
                while (frame := held.get_nowait()) is not None:
                    self._held_bytes -= len(frame.raw)
                    await self._send(frame.message)
                if self._closing is not None and not patience.cancel_called:
                    await self._send(self._closing)
            except Exception as error:  # noqa: BLE001  # the same
                self._failed(error)
        self._held = self._patience = None

    def _hold(self, held: BoundedQueue[Frame], frame: Frame) -> None:
        self._held_bytes += len(frame.raw)
        if self._held_bytes > self._settings.queue_bytes or not held.put(frame):
            self.cut_off(CloseCode.TOO_SLOW, "you read too slowly; come back and recover")

    def _failed(self, error: Exception) -> None:
        """The client is gone; its endpoint hears of it from the server."""
        log.debug("a message could not be sent: %s", type(error).__name__)
        self._give_up()

    def _give_up(self) -> None:
        if self._closing is None:
            self._closing = closing_message(_ABNORMAL, "")
            self._on_closing(_ABNORMAL)
        self._drop_held()
        if self._patience is not None:
            self._patience.cancel()

    def _drop_held(self) -> None:
        if self._held is not None:
            while self._held.get_nowait() is not None:
                pass
        self._held_bytes = 0


def _nobody(code: int) -> None:
    """Hears of an end that everybody knows of already."""


def closing_message(code: int, reason: str) -> dict[str, Any]:
    """The ASGI message that closes a connection, with as much of the reason as a close frame holds."""
    short = reason.encode()[:_MOST_REASON].decode(errors="ignore")
    return {"type": "websocket.close", "code": int(code), "reason": short}


class _Rest:
    """The rest of a coroutine that was begun outside of any task, and waits for what it yielded."""

    __slots__ = ("_awaited", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        awaited = self._awaited
        try:
            while True:
                try:
                    value = yield awaited
                except BaseException as error:  # noqa: BLE001  # it is the coroutine's to handle
                    awaited = self._coroutine.throw(error)
                else:
                    awaited = self._coroutine.send(value)
        except StopIteration:
            return
