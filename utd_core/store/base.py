"""What the engine needs of a store: aggregates with a version and a deadline, an event log, and answers given.

- One `Commit` is one transaction: either all of it is durable or nothing is. The engine calls `commit` once for each
  batch of commands it drained, so a hot room costs one transaction for many commands.
- A state's version only ever rises. `expected_version` is the one that was loaded, also where an ended room's name
  begins a new room: the row goes on, and 0 is only for a key that was never stored.
- A channel's offsets have no hole: the events of a commit begin right after the channel's head. A commit that does not
  is refused, so of two writers that took the same offset one wins and the other looks again.
- A channel has the epoch that its first event names, and keeps it for as long as the channel is there. One that was
  discarded and begins anew counts from 1 again, so it must begin in an epoch that nobody has used: a place in the old
  one is then never mistaken for a place in the new one, nor one that somebody brings from another database (one in
  memory is another after each start).
- A store has an epoch of its own, which is that of channels in which nothing was published yet. Channels that are
  never discarded begin in it, so that whoever waits for the first event there has its place already.
- A store holds what one project has. Several projects may share a database (`SqlStore.scoped`); none of them sees, or
  counts, anything of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..model.event import Event
from .leases import Fence
from .outbox import Outbox, Outgoing


@dataclass(frozen=True, slots=True)
class StoredState:
    """An aggregate as it was last committed. `payload`: JSON of the state class.

    `version` counts for the store alone and need not be the one inside the payload. `deadline`: when time alone
    changes the state next, in seconds since the Unix epoch. `ended_at`: since when it has been over, in the same; that
    keeps it out of lists of what is going on, and lets it be discarded.
    """

    kind: str
    key: str
    version: int
    payload: bytes
    deadline: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event at its place in a channel.

    Offsets of a channel's epoch are 1, 2, 3, ...; `kind` and `key` name the aggregate it happened to; `at` is in
    seconds since the Unix epoch.
    """

    channel: str
    epoch: str
    offset: int
    kind: str
    key: str
    at: float
    event: Event


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command with an idempotency key was answered. `fingerprint` tells a repeat from a misuse of the key."""

    actor: str
    key: str
    fingerprint: str
    payload: bytes
    at: float


@dataclass(slots=True)
class Commit:
    """One transaction. Each state stands with the version that is expected to be stored now (0: none at all)."""

    states: list[tuple[StoredState, int]] = field(default_factory=list)
    events: list[Envelope] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    outbox: list[Outgoing] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Remains:
    """What there is of something that ended: its state, and the channel that is its own, if it has one."""

    kind: str
    key: str
    version: int
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The newest place in a channel."""

    epoch: str
    offset: int


class Store(Protocol):
    """Raises `StoreFailed` for whatever the database raises (nothing was changed then), and `Closed` when not open; one
    with a fence raises `Deposed` where anything is to be written once that is shut.

    A cancelled caller does not undo a `commit` that it began: it may hold or not, as after a crash. What is read later
    tells which.
    """

    @property
    def outbox(self) -> Outbox:
        """What was committed for others, and is on its way to them."""
        ...

    @property
    def fence(self) -> Fence | None:
        """What guards the writes of the holder of a lease; None where no lease is needed."""
        ...

    async def open(self) -> None:
        """Connect and migrate. Idempotent."""
        ...

    async def aclose(self) -> None:
        """Finish what was begun and disconnect. Idempotent."""
        ...

    async def load(self, kind: str, key: str) -> StoredState | None:
        """The state as last committed, None where none ever was."""
        ...

    async def commit(self, commit: Commit) -> None:
        """Make it durable, all or nothing.

        Raises `Conflict` when somebody else was first: a state's version is not the expected one, a channel's head is
        not right before the events, or the actor's key has an answer. Load again and decide again.
        """
        ...

    async def due(self, now: float, limit: int = 100) -> list[tuple[str, str, int]]:
        """(kind, key, version) of states whose deadline is not after `now`, the oldest deadline first."""
        ...

    async def next_deadline(self) -> float | None:
        """The earliest deadline of all states."""
        ...

    async def states(
        self, kind: str, *, after: str = "", limit: int = 100, ended: bool | None = False
    ) -> list[StoredState]:
        """States of a kind in the order of their keys, from the first key beyond `after`; `ended` None for both."""
        ...

    async def head(self, channel: str) -> Head:
        """The newest place in a channel; 0 in the store's epoch when nothing was published there yet."""
        ...

    async def history(self, channel: str, epoch: str, after: int, limit: int) -> Sequence[Envelope] | None:
        """At most `limit` events after an offset, oldest first, without a hole.

        None when the next one is not held: pruned, of another epoch, or `after` is in the future.
        """
        ...

    async def prune(self, before: float, keep: int, *, answers_before: float | None = None) -> int:
        """Delete events that are older than `before` and not among the newest `keep` of their channel, and answers
        older than `answers_before` (None: `before`). Done in small transactions, so commits go on meanwhile.

        Answers how many events and answers were deleted.
        """
        ...

    async def ended(self, before: float, limit: int = 100) -> list[tuple[str, str, int]]:
        """(kind, key, version) of states that ended before a time, the one that ended first first."""
        ...

    async def discard(self, remains: Sequence[Remains]) -> list[bool]:
        """Delete states that ended, and their channels with all events, in one transaction; whether each was deleted.

        One that has another version by now began anew and is left alone, its channel too.
        """
        ...

    async def answer(self, actor: str, key: str) -> Answer | None:
        """What the actor's command with this idempotency key was answered; None: nothing yet, or it is pruned."""
        ...
