"""How a session begins, stays and ends: the `SESSION` table, driven.

Every stay is one task (`Visit`) whose end says goodbye, so `leave()` and `aclose()` only have to end it: whoever calls
them may be cancelled in the middle, and the goodbye is said all the same.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ...concurrency import Clock, Closeable, TaskScope
from ...errors import Closed, Conflict, ErrorCode, Superseded
from ...model.session import SESSION, SessionState, SessionTrigger
from ...model.stream_type import UTDStreamType
from ..context import ClientContext
from ..models import EndReason, SessionEnd
from ..state.observable import Observable, Variable
from ..state.signal import Signal
from .operations import Operations
from .visit import Visit


class SessionLifecycle(Closeable):
    """State and end of a session, without anything that it does meanwhile."""

    def __init__(self, context: ClientContext, type: UTDStreamType) -> None:
        self.type = type
        self._context = context
        self._scope = TaskScope(f"{type.value} of {context.identity}")
        self._visit: Visit | None = None
        self._closed = False
        self._departures = 0
        self._operations = Operations()
        self._changed = Signal()
        """Notified after whatever an operation may wait for."""
        self._variables: list[Variable[Any]] = []
        self._state = self._variable(SessionState.IDLE)
        self._ended: Variable[SessionEnd | None] = self._variable(None)

    @property
    def identity(self) -> str:
        """Who this participant is."""
        return self._context.identity

    @property
    def state(self) -> Observable[SessionState]:
        """Idle, connecting, connected, reconnecting, disconnected, closed."""
        return self._state

    @property
    def connected(self) -> Observable[bool]:
        """Whether the session is connected at this moment."""
        return self._state.map(lambda state: state is SessionState.CONNECTED)

    @property
    def ended(self) -> Observable[SessionEnd | None]:
        """Why the session is disconnected; None while it is not."""
        return self._ended

    async def leave(self) -> None:
        """Leave. The session can be joined again. Idempotent; a join or an operation under way is `Superseded`."""
        await self._depart(SessionEnd(EndReason.LEFT, "the session was left"))

    async def aclose(self) -> None:
        """Leave, and end the session: no task and no connection of it remains. Idempotent, from any task, at any await.

        Called in a callback of this session it returns at once, and the callback is cancelled at its next await.
        """
        if not self._closed:
            self._operations.supersede("the session was closed")
            self._end_visit(SessionEnd(EndReason.CLOSED, "the session was closed"))
            self._move(SessionTrigger.CLOSE)
            self._closed = True
            for variable in self._variables:
                variable.close()
            self._close_streams()
            self._changed.notify()
        try:
            await self._scope.aclose()
        finally:
            with anyio.CancelScope(shield=True):
                await self._context.released(self)

    async def dispose(self) -> None:
        """The same as `aclose()`."""
        await self.aclose()

    @abstractmethod
    def _close_streams(self) -> None:
        """No event follows."""

    def _variable(self, value: Any) -> Variable[Any]:
        """An observable of this session."""
        variable = Variable(value, self._scope, self._clock)
        self._variables.append(variable)
        return variable

    @property
    def _clock(self) -> Clock:
        return self._context.clock

    async def _begin(self, stay: Callable[[Visit], Awaitable[None]]) -> None:
        """Run `stay` in the background, and wait until it is in; a caller that is cancelled takes it back."""
        self._check_open()
        await self._see_off()
        self._check_open()
        self._state.set(SESSION.next(self._state.value, SessionTrigger.CONNECT))
        self._ended.set(None)
        visit = self._visit = Visit(stay)
        try:
            await self._scope.open()
            self._check_open()
            self._scope.start(self._run, visit, name="stay")
        except BaseException:
            visit.conclude()
            self._conclude(visit)
            raise
        try:
            await visit.wait_joined()
        except BaseException:
            visit.finish(SessionEnd(EndReason.LEFT, "the join was cancelled"))
            with anyio.CancelScope(shield=True):
                await visit.wait_done()
            raise
        if not visit.is_joined:
            await visit.wait_done()
            assert visit.end is not None
            raise visit.failure or visit.end.error or Superseded(f"given up, because {visit.end.message}")

    async def _see_off(self) -> None:
        """Let a stay that is over for the application say its goodbye, before the next one begins.

        Raises `Superseded` when the next one is given up meanwhile.
        """
        departures = self._departures
        while self._visit is not None and self._visit.is_finishing:
            await self._visit.wait_done()
        if departures != self._departures:
            raise Superseded("given up, because the session was left before it had joined")

    async def _run(self, visit: Visit) -> None:
        try:
            await visit.run()
        finally:
            self._conclude(visit)

    async def _depart(self, end: SessionEnd) -> None:
        """The application ends the stay, if there is one; returns when it is over."""
        self._departures += 1
        self._operations.supersede(end.message)
        visit = self._visit
        if visit is not None:
            visit.finish(end)
            await visit.wait_done()

    def _end_visit(self, end: SessionEnd) -> None:
        """End the stay without waiting: for what the engine or the backend says."""
        if self._visit is not None:
            self._visit.finish(end)

    def _conclude(self, visit: Visit) -> None:
        """The stay is over."""
        if self._visit is not visit:
            return
        self._visit = None
        end = visit.end
        assert end is not None
        self._operations.supersede(f"the session ended: {end.message}")
        self._ended.set(end)
        if end.reason is EndReason.LEFT:
            self._move(SessionTrigger.LEAVE)
        else:
            self._move(SessionTrigger.GIVE_UP if visit.is_joined else SessionTrigger.FAIL)
        self._changed.notify()

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the session was closed; make a new one")

    def _check_joined(self) -> None:
        """Raise `Conflict` (not_joined) or `Closed` unless there is a stay."""
        self._check_open()
        if self._visit is None or self._visit.is_finishing:
            raise Conflict(f"{self._context.identity!r} is not in there now; join first", code=ErrorCode.NOT_JOINED)

    def _move(self, trigger: SessionTrigger) -> None:
        """Take a step that the table knows; others are no news (a connection that was lost is lost again)."""
        if SESSION.allows(self._state.value, trigger):
            self._state.set(SESSION.next(self._state.value, trigger))
            self._changed.notify()
