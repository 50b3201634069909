"""When a delivery is tried again.

At 0, 2, 4, 8, 16 and 32 seconds, counted from the first try; then every hour, until a day after the event happened. One
that had to wait for others of its room for that long is still tried at 0 to 32 seconds.
"""

from __future__ import annotations

QUICK = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0)
HOUR, DAY = 3_600.0, 86_400.0
_OFFSETS = (*QUICK, *(QUICK[-1] + HOUR * number for number in range(1, 25)))
"""Seconds after the first try."""


_SLACK = 0.5
"""A try begins a little later than it is due, or a rounding error earlier."""


def next_try(happened_at: float, first_at: float, now: float) -> float | None:
    """When to try again after a try that failed now; None where it was the last one."""
    since = now - first_at + _SLACK
    if since >= QUICK[-1] and now - happened_at + _SLACK >= DAY:
        return None
    return next((first_at + offset for offset in _OFFSETS if offset > since), None)
