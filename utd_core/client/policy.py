"""How long a client tries to come back, and how often."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..concurrency import Clock
from ..errors import InvalidInput
from ..media.checks import is_number


def check_seconds(value: Any, name: str) -> None:
    """Raise `InvalidInput` unless it is a time that can be waited for."""
    if not is_number(value) or not value > 0:
        raise InvalidInput(f"{name} must be above 0 seconds, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Waits between attempts, in seconds of the client's clock: `first_wait`, doubled each time up to `longest_wait`.

    After `patience` seconds in all the client gives up. Each wait is stretched by up to `spread` of itself, by a share
    that depends on the identity: when a server dies, its thousand clients do not come back in the same instant, and yet
    a test sees the same times every time.
    """

    first_wait: float = 0.25
    longest_wait: float = 5.0
    patience: float = 60.0
    spread: float = 0.5

    def __post_init__(self) -> None:
        for name in ("first_wait", "longest_wait", "patience"):
            check_seconds(getattr(self, name), name)
        if not is_number(self.spread) or self.spread < 0:
            raise InvalidInput(f"spread must be a share of at least 0, got {self.spread!r}")

    def waits(self, identity: str, clock: Clock | None = None) -> Iterator[float]:
        """Seconds to wait after each failed attempt; ends when patience does.

        With a clock, the time that the attempts take from now on is taken from patience as well.
        """
        return self._waits(identity, clock, 0.0 if clock is None else clock.monotonic())

    def _waits(self, identity: str, clock: Clock | None, began: float) -> Iterator[float]:
        stretch = 1.0 + self.spread * zlib.crc32(identity.encode()) / 0xFFFF_FFFF
        wait, waited = self.first_wait, 0.0
        while (waited if clock is None else clock.monotonic() - began) + wait * stretch <= self.patience:
            yield wait * stretch
            waited += wait * stretch
            wait = min(2 * wait, self.longest_wait)
