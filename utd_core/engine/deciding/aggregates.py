"""What is in memory of each room and call: its state as last decided, and the commands that wait for it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ...concurrency import BoundedQueue, Overflow
from ...model.command import Actor, Command
from ...model.commands.internal import Internal
from ...model.event import Event
from ...store.base import Answer, Head
from ..kinds import Kind


@dataclass(slots=True, eq=False)
class Job:
    """A command on its way: its caller waits for `future`, or has gone away and cancelled it.

    `keyed` is the idempotency key, and the fingerprint of the command, under which the answer is kept; `origin` what an
    instrument knows its giving by.
    """

    command: Command | Internal
    actor: Actor
    future: asyncio.Future[Any]
    keyed: Keyed | None = None
    query: bool = False
    attempts: int = 0
    origin: object = None

    def succeed(self, answer: Any) -> None:
        if not self.future.done():
            self.future.set_result(answer)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)
            # Nobody may be left who waits for it; that is no reason for a warning.
            self.future.exception()


@dataclass(frozen=True, slots=True)
class Keyed:
    """The key is the actor's own; another actor's equal key is another key."""

    actor: str
    key: str
    fingerprint: str


class Aggregate:
    """One room, one call, or the project.

    `state` is None while it does not exist. `version` counts its commits, whatever the model's own version is: a room
    that is made anew under an old name begins at one, and its row must still be guarded against another writer.
    `head` is the place of the last event in its home channel; `parties` are the two of a call that is to begin.
    """

    __slots__ = (
        "head",
        "in_flight",
        "key",
        "kind",
        "loaded",
        "loading",
        "news",
        "parties",
        "state",
        "version",
        "waiting",
    )

    def __init__(self, kind: Kind, key: str, capacity: int) -> None:
        self.kind = kind
        self.key = key
        self.state: Any = None
        self.version = 0
        self.head = Head("", 0)
        self.parties: tuple[str, ...] = ()
        self.loaded = False
        self.loading = False
        self.in_flight = False
        self.waiting: BoundedQueue[Job] = BoundedQueue(capacity, Overflow.DROP_NEWEST)
        self.news: dict[Internal, Job] = {}

    @property
    def has_work(self) -> bool:
        return bool(self.news) or len(self.waiting) > 0

    @property
    def is_idle(self) -> bool:
        return not (self.has_work or self.in_flight or self.loading)

    @property
    def is_settled(self) -> bool:
        """Its state is what was committed last."""
        return self.loaded and not self.in_flight

    def take(self, limit: int) -> Iterator[Job]:
        """What waits, the engine's own news first, at most `limit` commands."""
        while self.news:
            yield self.news.pop(next(iter(self.news)))
        for _ in range(limit):
            job = self.waiting.get_nowait()
            if job is None:
                return
            yield job

    def forget(self) -> None:
        """Drop the state; it is loaded again before the next decision."""
        self.state = None
        self.loaded = False
        self.in_flight = False

    def __str__(self) -> str:
        return f"{self.kind.name} {self.key!r}"


@dataclass(slots=True, eq=False)
class Batch:
    """What was decided on one aggregate and is not committed yet.

    `events` are all of them with their channels; `undo` takes back what was changed besides the state, in reverse.
    `left` are (media room, media identity, at once) of connections that must be gone now, `gone` are (identity,
    removed) of those who are in the room on no device any more.
    """

    aggregate: Aggregate
    at: float
    events: list[tuple[Event, tuple[str, ...]]] = field(default_factory=list)
    done: list[tuple[Job, Any]] = field(default_factory=list)
    queries: list[Job] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    undo: list[Callable[[], None]] = field(default_factory=list)
    left: list[tuple[str, str, bool]] = field(default_factory=list)
    gone: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        return bool(self.events or self.answers)

    @property
    def jobs(self) -> list[Job]:
        """Those whose callers still wait."""
        return [*(job for job, _ in self.done), *self.queries]

    @property
    def head_offset(self) -> int:
        """The place of the last event decided so far, in the home channel."""
        return self.aggregate.head.offset + len(self.events)

    def roll_back(self) -> None:
        while self.undo:
            self.undo.pop()()


class Residents:
    """Aggregates in memory; of those that nobody uses, only the `limit` used last."""

    def __init__(self, limit: int, queue_capacity: int) -> None:
        self._limit = limit
        self._capacity = queue_capacity
        self._all: OrderedDict[tuple[str, str], Aggregate] = OrderedDict()

    def get(self, kind: Kind, key: str) -> Aggregate:
        """The aggregate, loaded or not."""
        found = self._all.get((kind.name, key))
        if found is None:
            found = self._all[kind.name, key] = Aggregate(kind, key, self._capacity)
            self._evict()
        else:
            self._all.move_to_end((kind.name, key))
        return found

    def peek(self, kind: Kind, key: str) -> Aggregate | None:
        """The aggregate if it is in memory."""
        return self._all.get((kind.name, key))

    def _evict(self) -> None:
        # Those in use are put behind the others, so a full memory of busy rooms is looked through only once.
        for _ in range(len(self._all) - self._limit):
            name, oldest = self._all.popitem(last=False)
            if not oldest.is_idle:
                self._all[name] = oldest

    def __iter__(self) -> Iterator[Aggregate]:
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)
