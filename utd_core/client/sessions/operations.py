"""Operation epochs: an operation that waits is given up when a later, opposite one is called.

Taking a seat waits for the grant, then opens the microphone. Whoever leaves the seat meanwhile must not find the
microphone open afterwards: the epoch is taken before the wait, and an opposite operation begins a new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...concurrency.pending import Pending
from ...errors import Superseded


class Operations:
    """The epochs of one session."""

    def __init__(self) -> None:
        self._epoch = 0
        self._why = ""
        self._pending = Pending()

    def begin(self) -> int:
        """The epoch in which an operation begins, to be given to `pending` later."""
        return self._epoch

    def supersede(self, why: str) -> None:
        """Give up every operation that began before now. `why` ends the sentence "given up, because ..."."""
        self._epoch += 1
        self._why = why
        self._pending.give_up()

    @contextmanager
    def pending(self, epoch: int) -> Iterator[None]:
        """The part of an operation that may be given up. Raises `Superseded` when it is, or was before."""
        self._check(epoch)
        with self._pending.under_way() as scope:
            yield
        if scope.cancelled_caught:
            self._check(epoch)

    def _check(self, epoch: int) -> None:
        if epoch != self._epoch:
            raise Superseded(f"given up, because {self._why}")
