"""Events on their way out of the system: written with the commit that they belong to, kept until somebody has taken
them.

- A *lane* is the way of one room, call or project to one endpoint. Its *parcels* leave one after the other, in the
  order of their commits; lanes do not wait for each other.
- Only the first parcel of a lane is ever worked on. Whoever claims it has it until a time; after that (its process may
  have ended) anybody may claim it again. So each is handed out at least once.
- A parcel that nobody takes is buried in the end, and the lane goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event that is to be told to an endpoint. `kind` and `key` name what it happened to; `id` is the event's, the
    same for each endpoint; `at` is in seconds since the Unix epoch; `payload` is JSON."""

    endpoint: str
    kind: str
    key: str
    id: str
    type: str
    at: float
    payload: bytes


@dataclass(frozen=True, slots=True)
class Parcel:
    """One at the head of its lane, in somebody's hands until `held_until`.

    `number` tells it from all others. `tries` is how often it was tried before; `first_at` when it was claimed for the
    first time.
    """

    number: int
    outgoing: Outgoing
    tries: int
    first_at: float
    held_until: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One that was given up: when, after how many tries, and what the last of them ran into."""

    number: int
    outgoing: Outgoing
    tries: int
    died_at: float
    reason: str


@dataclass(frozen=True, slots=True)
class OutboxFigures:
    """Of one endpoint: parcels that wait, when the oldest of them happened, and those that were given up."""

    waiting: int = 0
    oldest: float | None = None
    dead: int = 0


class Outbox(Protocol):
    """The outbox of a store. Raises what the store's methods do."""

    async def claim(self, endpoint: str, now: float, until: float, limit: int) -> list[Parcel]:
        """The first parcels of at most `limit` lanes that are due, the longest due first; the caller's until then."""
        ...

    async def next_due(self, endpoint: str) -> float | None:
        """When the next lane is due; None where nothing waits."""
        ...

    async def delivered(self, parcel: Parcel, now: float, until: float) -> Parcel | None:
        """It was taken: forget it. The next one of its lane, in the caller's hands, if there is one, and the lane is
        still the caller's."""
        ...

    async def postpone(self, parcel: Parcel, due: float) -> None:
        """It was tried in vain, and is tried again then."""
        ...

    async def hand_back(self, parcel: Parcel, now: float) -> None:
        """It was not tried: anybody may claim it."""
        ...

    async def bury(self, parcel: Parcel, reason: str, now: float, until: float) -> Parcel | None:
        """It was tried in vain for the last time. Answers as `delivered` does."""
        ...

    async def dead(self, endpoint: str | None = None, *, after: int = 0, limit: int = 100) -> Sequence[DeadLetter]:
        """Those that were given up, in the order of their numbers, from the first beyond `after`."""
        ...

    async def revive(self, number: int, now: float) -> bool:
        """Put a dead letter at the end of its lane again, as one that happened now; False where there is none."""
        ...

    async def discard(self, endpoint: str) -> int:
        """Delete everything of an endpoint that nobody delivers to any more; how many parcels and dead letters."""
        ...

    async def figures(self) -> Mapping[str, OutboxFigures]:
        """By endpoint, of those that have anything."""
        ...

    async def prune_dead(self, before: float) -> int:
        """Delete what was given up before a time; how many those were."""
        ...
