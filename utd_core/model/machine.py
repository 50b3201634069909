"""A transition table and nothing else.

- Tables are the only truth of what may follow what: `decide` asks them, the diagrams in the docs are drawn from them,
  and tests walk every (state, trigger) cell. A missing cell is a refusal, never a crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from ..errors import EXCEPTION_OF, ErrorCode, UTDStreamException

S = TypeVar("S", bound=StrEnum)
T = TypeVar("T", bound=StrEnum)


@dataclass(frozen=True)
class Machine(Generic[S, T]):
    """`table[state, trigger]` is the next state; `refusals` names the error code and words of a missing cell.

    A refusal may be given per cell, per state (trigger None) or not at all (then code `conflict`); its words say what
    to do next. `also_initial`: further states that it may begin in.
    """

    name: str
    states: type[S]
    triggers: type[T]
    initial: S
    table: Mapping[tuple[S, T], S]
    refusals: Mapping[tuple[S, T | None], tuple[ErrorCode, str]] = field(default_factory=dict)
    also_initial: frozenset[S] = frozenset()

    def next(self, state: S, trigger: T) -> S:
        """The state after `trigger`. Raises the refusal of a missing cell."""
        after = self.table.get((state, trigger))
        if after is None:
            raise self.refusal(state, trigger)
        return after

    def allows(self, state: S, trigger: T) -> bool:
        return (state, trigger) in self.table

    def refusal(self, state: S, trigger: T) -> UTDStreamException:
        """The error of a missing cell: a `Conflict`, or what else its code is raised as."""
        code, words = (
            self.refusals.get((state, trigger))
            or self.refusals.get((state, None))
            or (ErrorCode.CONFLICT, "look at its state first")
        )
        message = f"{self.name} is {state.value}: cannot {trigger.value.replace('_', ' ')}; {words}"
        return EXCEPTION_OF[code](message, code=code)

    @property
    def final(self) -> frozenset[S]:
        """States that nothing leads out of."""
        return frozenset(self.states) - {state for state, _ in self.table}
