"""Real-time pace without drift: every deadline is computed from the start, never from the last sleep."""

from __future__ import annotations

from enum import StrEnum

from ..concurrency import Clock
from ..errors import InvalidInput
from .checks import check_choice, is_number


class LatePolicy(StrEnum):
    """What happens when a stream is so late that catching up would be a burst."""

    RESYNC = "resync"
    """Go on from now: nothing is lost, the rest of the stream is that much later."""
    SKIP = "skip"
    """Leave out what is overdue: the stream keeps its time, and so stays in step with another one."""


class Pacer:
    """Deadlines of a periodic stream on a clock.

    `interval`: seconds between two frames. The first `wait()` sets the start (or `start`, on the clock's
    monotonic scale, does). What holds for every clock, however late it wakes:

    - frame n is never let through before `start + n * interval`, so the pace has no drift;
    - a late stream catches up at once, but never by `max_burst` frames or more: in any span of time t at most
      `t / interval + max_burst` frames are let through. A stream that is later than that is resynchronised or
      skips, by its policy, and counts it.
    """

    __slots__ = (
        "_clock",
        "_index",
        "_max_lateness",
        "_start",
        "interval",
        "late",
        "max_burst",
        "policy",
        "resyncs",
        "shift_us",
        "skipped",
    )

    def __init__(
        self,
        clock: Clock,
        interval: float,
        *,
        max_burst: int = 5,
        policy: LatePolicy = LatePolicy.RESYNC,
        start: float | None = None,
    ) -> None:
        if not is_number(interval) or interval <= 0:
            raise InvalidInput(f"interval must be over 0 seconds, got {interval!r}")
        if type(max_burst) is not int or max_burst < 1:
            raise InvalidInput(f"max_burst must be at least 1 frame, got {max_burst!r}")
        self.interval = interval
        self.max_burst = max_burst
        self.policy = check_choice(LatePolicy, policy)
        self.late = 0
        """Frames let through more than one interval after their deadline."""
        self.skipped = 0
        """Frames that had to be left out."""
        self.resyncs = 0
        """How often the pace was given up and set anew, by either policy."""
        self._clock = clock
        self._index = 0
        self._start = start
        self.shift_us = 0
        """Microseconds by which resynchronising has moved the stream."""
        self._max_lateness = 0.0

    async def wait(self) -> int:
        """Wait for the next frame's deadline. Returns how many frames to leave out before it: 0 unless SKIP.

        Always yields to other tasks, also when the deadline has passed.
        """
        clock = self._clock
        now = clock.monotonic()
        if self._start is None:
            self._start = now
        deadline = self._start + self._index * self.interval
        self._index += 1
        await clock.sleep(deadline - now if deadline > now else 0.0)
        lateness = clock.monotonic() - deadline
        if lateness <= self.interval:
            if lateness > self._max_lateness:
                self._max_lateness = lateness
            return 0
        return self._overdue(lateness)

    def _overdue(self, lateness: float) -> int:
        self._max_lateness = max(self._max_lateness, lateness)
        if lateness < self.max_burst * self.interval:
            self.late += 1
            return 0
        self.resyncs += 1
        if self.policy is LatePolicy.RESYNC:
            self.late += 1
            assert self._start is not None
            self._start += lateness
            self.shift_us += round(lateness * 1_000_000)
            return 0
        skipped = int(lateness / self.interval)
        self.skipped += skipped
        self._index += skipped
        return skipped

    @property
    def max_lateness(self) -> float:
        """Seconds between a deadline and its frame, at the worst."""
        return self._max_lateness
