"""What webhooks tell about themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EndpointStatistics:
    """Gauges of this moment, and counters of this node since it began.

    `waiting`: events that are not delivered yet; `age`: seconds since the oldest of them happened, 0 without any.
    `dead`: events that were given up and are kept. `delivered`: that were taken; `failed`: tries that were not.
    """

    waiting: int = 0
    age: float = 0.0
    dead: int = 0
    delivered: int = 0
    failed: int = 0
