"""How good a connection is, from what can be measured of it: for backends whose media server does not tell it."""

from __future__ import annotations

from .events import ConnectionQuality

_LIMITS = (
    # loss, round trip (s), jitter (s): at one of them it is no better than
    (0.10, 0.8, 0.15, ConnectionQuality.POOR),
    (0.02, 0.4, 0.06, ConnectionQuality.GOOD),
)


def quality_of(*, loss: float = 0.0, round_trip: float = 0.0, jitter: float = 0.0) -> ConnectionQuality:
    """The quality of a connection through which something comes.

    `loss`: share (0 to 1) of packets that never arrived. `round_trip`, `jitter`: seconds.
    """
    for most_lost, slowest, roughest, quality in _LIMITS:
        if loss >= most_lost or round_trip >= slowest or jitter >= roughest:
            return quality
    return ConnectionQuality.EXCELLENT
