"""The behaviours of the contract in lanes of about the same length, to be run side by side.

Most of the suite's time is waiting, so a few lanes at once take a third of it, also where there are two cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from utd_core.testing.contract.behaviours import BEHAVIOURS

USUAL = 2.0
SECONDS: Mapping[str, float] = {
    "C98": 60.0,
    "C97": 25.0,
    "C96": 25.0,
    "M62": 25.0,
    "C101": 20.0,
    "C87": 20.0,
    "C105": 18.0,
    "C94": 15.0,
    "M63": 15.0,
    "C79": 10.0,
    "C90": 10.0,
    "C132": 15.0,
    "C82": 10.0,
    **{f"C{number}": 7.0 for number in (80, 81, 83, 84, 111, 112, 113, 114, 115, 116, 117)},
    **{f"C{number}": 4.0 for number in range(46, 67)},
    **{f"S{number}": 4.0 for number in range(1, 43)},
    "S39": 8.0,
}
"""About how long the behaviours take that take longer than usual."""


@dataclass(slots=True)
class Lane:
    """Behaviours that one process shows, one after the other."""

    numbers: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def filters(self) -> str:
        """What `utd contract --filter` takes."""
        return ",".join(self.numbers)


def lanes(count: int) -> list[Lane]:
    """Every behaviour in one of `count` lanes; the longest are given out first, each to the lane that is shortest."""
    made = [Lane() for _ in range(count)]
    for number in _longest_first(behaviour.number for behaviour in BEHAVIOURS):
        lane = min(made, key=lambda lane: lane.seconds)
        lane.numbers.append(number)
        lane.seconds += SECONDS.get(number, USUAL)
    return made


def _longest_first(numbers: Iterable[str]) -> list[str]:
    return sorted(numbers, key=lambda number: -SECONDS.get(number, USUAL))
