"""Numbered behaviours: what every media backend does, a sentence each.

The numbers are stable: a behaviour that is given up leaves its number unused. `docs/reference/contract.md` is
written from this registry, and every test of the suite names the numbers it proves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ....media.capabilities import Capabilities
from ....media.faults import Fault


class Part(StrEnum):
    """The three parts of the contract; the value is the letter its numbers begin with."""

    CONTROL = "M"
    CONNECTION = "C"
    SESSIONS = "S"

    @property
    def heading(self) -> str:
        return {Part.CONTROL: "Control", Part.CONNECTION: "Connection", Part.SESSIONS: "Sessions"}[self]

    @property
    def purpose(self) -> str:
        """What the part is about, for the reference."""
        return {
            Part.CONTROL: "The server half: what the engine needs from a backend.",
            Part.CONNECTION: "The connection half: what a client needs from a backend.",
            Part.SESSIONS: "Rooms, stages and calls of the session API, end to end on the backend.",
        }[self]


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a behaviour cannot be shown on a backend: what its author declared, in the words of the declaration."""

    capability: str
    """A field of `Capabilities`, or `fault:<name>`."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One statement of the contract.

    `needs`: capabilities it takes; a backend that denies one is excused. `faults`: those the test injects.
    `participants`: how many connections of one room the test needs at once.
    """

    number: str
    sentence: str
    section: str
    needs: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    participants: int = 2

    @property
    def part(self) -> Part:
        return Part(self.number[0])

    def missing(self, capabilities: Capabilities, faults: frozenset[Fault]) -> Missing | None:
        """The declaration that excuses a backend from this behaviour; None when it has to show it."""
        for need in self.needs:
            if not getattr(capabilities, need):
                return Missing(need, Capabilities.doc(need))
        limit = capabilities.max_participants
        if limit is not None and limit < self.participants:
            return Missing("max_participants", f"At most {limit} participants fit in one room of this backend.")
        for fault in self.faults:
            if fault not in faults:
                return Missing(f"fault:{fault}", f"The backend does not produce the fault {fault}.")
        return None


@dataclass
class Registry:
    """Behaviours by number, in the order of the reference."""

    _by_number: dict[str, Behaviour] = field(default_factory=dict)

    def add(self, behaviour: Behaviour) -> None:
        if behaviour.number in self._by_number:
            raise ValueError(f"behaviour {behaviour.number} is declared twice")
        Part(behaviour.number[0])
        self._by_number[behaviour.number] = behaviour

    def __getitem__(self, number: str) -> Behaviour:
        return self._by_number[number]

    def __contains__(self, number: object) -> bool:
        return number in self._by_number

    def __iter__(self) -> Iterator[Behaviour]:
        return iter(self._by_number.values())

    def __len__(self) -> int:
        return len(self._by_number)

    def of(self, part: Part) -> Mapping[str, list[Behaviour]]:
        """The behaviours of a part, by section."""
        sections: dict[str, list[Behaviour]] = {}
        for behaviour in self:
            if behaviour.part is part:
                sections.setdefault(behaviour.section, []).append(behaviour)
        return sections


@dataclass(frozen=True, slots=True)
class Section:
    """Declares behaviours under one heading; `needs` are added to each of them."""

    registry: Registry
    part: Part
    title: str
    needs: tuple[str, ...] = ()

    def declare(
        self, number: int, sentence: str, *needs: str, faults: tuple[Fault, ...] = (), participants: int = 2
    ) -> None:
        """Add one behaviour. `needs`: names of capabilities besides those of the section."""
        every = tuple(dict.fromkeys((*self.needs, *needs)))
        self.registry.add(Behaviour(f"{self.part}{number}", sentence, self.title, every, faults, participants))
