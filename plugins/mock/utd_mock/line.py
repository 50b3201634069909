"""A way with a travel time: items arrive in the order they were sent, each at its time or later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from utd_core.concurrency import BoundedQueue, Overflow

from .agenda import Agenda, Timer

T = TypeVar("T")


class DelayLine(Generic[T]):
    """Holds at most `capacity` items under way. Only the first of them has a timer.

    `deliver(item)` is called at the item's time, `drained()` each time the line has become empty.
    """

    def __init__(
        self,
        agenda: Agenda,
        deliver: Callable[[T], None],
        *,
        capacity: int,
        overflow: Overflow,
        drained: Callable[[], None] = lambda: None,
    ) -> None:
        self._agenda = agenda
        self._deliver = deliver
        self._drained = drained
        self._waiting: BoundedQueue[tuple[float, int, T]] = BoundedQueue(capacity, overflow)
        self._head: tuple[float, int, T] | None = None
        self._timer: Timer | None = None
        self._held = False
        self._last_due = float("-inf")

    @property
    def empty(self) -> bool:
        return self._head is None and not len(self._waiting)

    def send(self, item: T, due: float) -> bool:
        """Deliver at `due` (the clock's `monotonic()`), never before an earlier item; False when the line is full."""
        self._last_due = due = max(due, self._last_due)
        if not self._waiting.put((due, self._agenda.ticket(), item)):
            return False
        self._arm()
        return True

    def hold(self) -> None:
        """Deliver nothing until `release`."""
        self._held = True
        self._disarm()

    def release(self) -> None:
        """Deliver what was held and is due, in order, then go on."""
        self._held = False
        self._arm()

    def close(self) -> None:
        """Forget everything under way. Idempotent."""
        self._disarm()
        self._waiting.close()
        while self._waiting.get_nowait() is not None:
            pass
        self._head = None

    def _arm(self) -> None:
        if self._held or self._timer is not None:
            return
        if self._head is None:
            self._head = self._waiting.get_nowait()
        if self._head is not None:
            due, order, _ = self._head
            self._timer = self._agenda.at(due, self._arrive, order)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._agenda.cancel(self._timer)
            self._timer = None

    def _arrive(self) -> None:
        self._timer = None
        if self._head is None:
            return
        _, _, item = self._head
        self._head = None
        self._deliver(item)
        self._arm()
        if self.empty:
            self._drained()
