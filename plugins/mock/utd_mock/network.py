"""The network between the mock server and its clients: latency, jitter and loss, repeatable by a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from utd_core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Network:
    """`latency`, `jitter`: seconds one way. `loss`: share (0 to 1) of frames and lossy data that gets lost.

    `seed` makes the chances repeatable; each participant's link draws from a generator of its own, so what one
    link loses does not depend on what the others carry.
    """

    latency: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    seed: int = 0

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Network:
        """Read `latency_ms`, `jitter_ms`, `loss` and `seed`; `InvalidInput` names the one that is wrong."""
        return cls(
            latency=_number(settings, "latency_ms", 60_000) / 1_000,
            jitter=_number(settings, "jitter_ms", 60_000) / 1_000,
            loss=_number(settings, "loss", 1),
            seed=_seed(settings.get("seed", 0)),
        )

    def generator(self, room: str, identity: str) -> random.Random:
        """The source of chance of one participant's link."""
        return random.Random(f"{self.seed}/{room}/{identity}")


def _number(settings: Mapping[str, Any], name: str, most: float) -> float:
    value = settings.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise InvalidInput(f"the mock's setting {name!r} must be a number from 0 to {most}, got {value!r}")
    return float(value)


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"the mock's setting 'seed' must be a whole number, got {value!r}")
    return value
