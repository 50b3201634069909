"""How fast a project, and each of its identities, may give commands: token buckets.

- A bucket holds `burst` commands and fills up with `rate` commands a second. A command that finds one of its buckets
  empty is refused and takes nothing from the others.
- The application's server is bound by its project's bucket alone, also when it triggers events; so is whoever has a
  subscription signed.
- A bucket is one number: when it will be full again. One that is full is not kept, as it is like a new one; what is
  kept is bounded, and whoever was quiet for longest is forgotten first.
- They are kept by each node for itself, and those of the node that holds a project count what is done for all: commands
  that other nodes were given pass there as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import NamedTuple

from ...errors import RateLimited
from ...model.command import THE_SERVER, Actor
from ..callers import Caller, Credential
from ..projects import Hosted, Project

_SLOWEST = 1 / 3_600
"""Commands a second; a rate of nothing is taken for this, so that there is a time to come back."""
_TICK = 1e-9
_SWEPT_AT_ONCE = 2


class _Bucket(NamedTuple):
    """`identity` is empty for that of the project."""

    app_id: str
    identity: str


class Rates:
    """The buckets of one node; `capacity`: how many are kept."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._full_at: dict[_Bucket, float] = {}

    def admit(self, caller: Caller) -> None:
        """Take one command out of the caller's buckets. Raises `RateLimited`; `details.retry_after` is in seconds."""
        identity = caller.actor.identity if caller.credential is Credential.USER else None
        self._admit(caller.hosted, identity)

    def admit_forwarded(self, hosted: Hosted, actor: Actor) -> None:
        """The same for a command that another node was given, by this actor."""
        self._admit(hosted, None if actor == THE_SERVER else actor.identity)

    def admit_request(self, hosted: Hosted) -> None:
        """The same for a request that gives no command, but takes the project's time."""
        rate, now = hosted.project.limits.commands_per_second, hosted.engine.clock.monotonic()
        if rate is not None:
            self._keep([self._of_project(hosted.project, rate, now)], now)

    def _admit(self, hosted: Hosted, identity: str | None) -> None:
        project, now = hosted.project, hosted.engine.clock.monotonic()
        limits = project.limits
        taken = []
        if limits.commands_per_second is not None:
            taken.append(self._of_project(project, limits.commands_per_second, now))
        if limits.identity_commands_per_second is not None and identity is not None:
            bucket = _Bucket(project.app_id, identity)
            taken.append((bucket, self._take(bucket, limits.identity_commands_per_second, limits.identity_burst, now)))
        self._keep(taken, now)

    def __len__(self) -> int:
        return len(self._full_at)

    def _of_project(self, project: Project, rate: float, now: float) -> tuple[_Bucket, float]:
        bucket = _Bucket(project.app_id, "")
        return bucket, self._take(bucket, rate, project.limits.burst, now)

    def _keep(self, taken: Iterable[tuple[_Bucket, float]], now: float) -> None:
        for bucket, full_at in taken:
            # Behind all others: the order is that of use.
            self._full_at.pop(bucket, None)
            self._full_at[bucket] = full_at
        self._forget(now)

    def _take(self, bucket: _Bucket, rate: float, burst: int | None, now: float) -> float:
        """When the bucket is full again, with one command less in it. Raises `RateLimited`."""
        step = 1 / max(rate, _SLOWEST)
        full_at = max(self._full_at.get(bucket, now), now) + step
        wait = full_at - now - max(rate if burst is None else burst, 1) * step
        if wait > _TICK:
            who = f"{bucket.identity!r} gives" if bucket.identity else "the project's people give"
            raise RateLimited(
                # Rounded up: never a wait of nothing, nor one that is a little too short.
                f"{who} commands too fast; try again in {ceil(wait * 10) / 10:.1f} s",
                details={"retry_after": ceil(wait * 1e3) / 1e3},
            )
        return full_at

    def _forget(self, now: float) -> None:
        """Let go of a few that are full, and of the oldest where there are too many."""
        for _ in range(_SWEPT_AT_ONCE):
            oldest = next(iter(self._full_at), None)
            if oldest is None or (self._full_at[oldest] > now and len(self._full_at) <= self._capacity):
                return
            del self._full_at[oldest]
