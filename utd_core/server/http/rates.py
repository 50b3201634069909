"""How fast a project, and each of its identities, may give commands: token buckets.

- A bucket holds `burst` commands and fills up with `rate` commands a second. A command that finds one of its buckets
  empty is refused and takes nothing from the others.
- The application's server is bound by its project's bucket alone.
- A bucket is one number: when it will be full again. One that is full is not kept, as it is like a new one; what is
  kept is bounded, and whoever was quiet for longest is forgotten first.
- They are kept by each node for itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import RateLimited
from ..callers import Caller, Credential

_Key = tuple[str, str]
_SLOWEST = 1 / 3_600
"""Commands a second; a rate of nothing is taken for this, so that there is a time to come back."""
_TICK = 1e-9
_SWEPT_AT_ONCE = 2


class Rates:
    """The buckets of one node; `capacity`: how many are kept."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._full_at: dict[_Key, float] = {}

    def admit(self, caller: Caller) -> None:
        """Take one command out of the caller's buckets. Raises `RateLimited`; `details.retry_after` is in seconds."""
        buckets = list(_buckets(caller))
        if not buckets:
            return
        now = caller.hosted.engine.clock.monotonic()
        full_at = []
        wait, slowest = 0.0, ""
        for key, rate, burst in buckets:
            step = 1 / max(rate, _SLOWEST)
            full = max(self._full_at.get(key, now), now) + step
            late = full - now - max(burst, 1) * step
            if late > max(wait, _TICK):
                wait, slowest = late, key[1]
            full_at.append((key, full))
        if wait:
            who = f"{slowest!r} gives" if slowest else "the project's people give"
            raise RateLimited(
                f"{who} commands too fast; try again in {wait:.1f} s", details={"retry_after": round(wait, 3)}
            )
        for key, full in full_at:
            # Behind all others: the order is that of use.
            self._full_at.pop(key, None)
            self._full_at[key] = full
        self._forget(now)

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        """Let go of a few that are full, and of the oldest where there are too many."""
        for key in [key for key, _ in zip(self._full_at, range(_SWEPT_AT_ONCE), strict=False)]:
            if self._full_at[key] <= now or len(self._full_at) > self._capacity:
                del self._full_at[key]


def _buckets(caller: Caller) -> Iterator[tuple[_Key, float, float]]:
    """Key, rate and burst of each bucket that bounds the caller."""
    project = caller.hosted.project
    limits = project.limits
    if limits.commands_per_second is not None:
        rate = limits.commands_per_second
        yield (project.app_id, ""), rate, rate if limits.burst is None else limits.burst
    if limits.identity_commands_per_second is not None and caller.credential is Credential.USER:
        rate = limits.identity_commands_per_second
        yield (
            (project.app_id, caller.actor.identity),
            rate,
            rate if limits.identity_burst is None else limits.identity_burst,
        )
