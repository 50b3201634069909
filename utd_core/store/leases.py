"""Who works for a project, where several nodes share a database: one at a time, the *holder*.

- A lease is a project's for as long as it is renewed, and for `ttl` seconds after that; then anybody may claim it. One
  that is given back may be claimed at once.
- Every claim raises the lease's *term*. Whatever a holder writes carries its term, and is refused in the same
  transaction once the lease is in another one. So a holder that was asleep while another one took over writes nothing
  any more, whatever the clocks say.
- A claim waits for the commits of the holder before it that are under way, so whoever reads after its claim sees all
  that was ever written in earlier terms. Renewals wait for nothing, and nothing waits for them.
- Time is the database's: nodes need not agree on theirs. A file has no clock of its own, but all who use it are on one
  machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..errors import Deposed


@dataclass(frozen=True, slots=True)
class Lease:
    """`holder` works for `project` since a claim, which began this `term`. Terms of a project rise, and none comes
    twice. A holder is a process: who starts anew is another one."""

    project: str
    holder: str
    term: int


class Leases(Protocol):
    """The leases of a database. Raises `StoreFailed` for whatever the database raises, and `Closed` when not open."""

    async def claim(self, project: str, holder: str, ttl: float) -> Lease:
        """Whose lease it is now: the claimer's, for `ttl` seconds, in a term of its own; or that of another one who
        had it before, or was faster."""
        ...

    async def claim_last(self, project: str, holder: str, ttl: float, *, courtesy: float) -> Lease | None:
        """The same, after everybody else: nothing is taken that was free for less than `courtesy` seconds. Meanwhile it
        is that of whoever did not renew it; None where it was given back."""
        ...

    async def renew(self, holder: str, ttl: float) -> Sequence[Lease]:
        """Everything that is the holder's is so for `ttl` seconds from now on: all that is."""
        ...

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give leases back. Those that are somebody else's by now, or in a later term, stay as they are."""
        ...

    async def want(self, lease: Lease, seconds: float) -> None:
        """Write down for the holder to see that another node wants this lease for the next `seconds`, which cannot ask
        it otherwise. It means nothing once the term is over."""
        ...

    async def wanted_of(self, holder: str) -> Sequence[Lease]:
        """What is the holder's, and wanted by others."""
        ...

    async def holder_of(self, project: str) -> Lease | None:
        """Whose it is; None: nobody's, claim it."""
        ...

    async def held_by(self, holder: str) -> Sequence[Lease]:
        """Everything that is the holder's, by project."""
        ...

    async def others_hold(self, holder: str) -> bool:
        """Whether somebody else holds anything, and has renewed it in time."""
        ...


class Fence:
    """Lets through what the holder of a lease writes; once shut, nothing ever again.

    It is shut by whoever finds out first that the lease is over: the holder's node, which could not renew it in time or
    gave it back, or a commit that was refused. A store that is made with it (`SqlStore.scoped`) asks it before, and the
    database within, every transaction.
    """

    __slots__ = ("_error", "_listeners", "lease")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self._error: Deposed | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def error(self) -> Deposed | None:
        """Why it is shut; None as long as it is open."""
        return self._error

    @property
    def is_shut(self) -> bool:
        return self._error is not None

    def check(self) -> None:
        """Raise `Deposed` when it is shut."""
        if self._error is not None:
            raise Deposed(self._error.message, details=self._error.details)

    def on_shut(self, listener: Callable[[], None]) -> None:
        """Call it once when the fence is shut, at once if it is. It must not wait, nor raise."""
        if self._error is not None:
            listener()
        else:
            self._listeners.append(listener)

    def shut(self, reason: str) -> None:
        """Let nothing through any more. Idempotent: the first reason stays."""
        if self._error is not None:
            return
        project = self.lease.project
        self._error = Deposed(
            f"this node does not work for project {project!r} any more ({reason}); nothing was done, ask again",
            details={"project": project},
        )
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()
