"""How many sockets a project has on all nodes together, where that is limited.

Each node tells the others how many it has: a moment after that changes, when somebody asks, and now and then again. So
what a node knows of the others is about a second old, and as many more may be let in as come in that time.
"""

from __future__ import annotations

from .peers import GREETING, SILENCE


class Tally:
    """One node's knowledge of the others, and what it told them. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._others: dict[str, tuple[int, float]] = {}
        self._told: int | None = None
        self._told_at = 0.0

    def elsewhere(self, now: float) -> int:
        """Sockets on the other nodes. One that was silent for too long has none any more."""
        for node in [node for node, (_, at) in self._others.items() if now - at > SILENCE]:
            del self._others[node]
        return sum(count for count, _ in self._others.values())

    def heard(self, node: str, count: int, now: float) -> None:
        """Another node has told how many it has."""
        self._others[node] = (count, now)

    def gone(self, node: str) -> None:
        self._others.pop(node, None)

    def forgive(self, now: float) -> None:
        """Nobody could be heard for a while."""
        self._others = {node: (count, now) for node, (count, _) in self._others.items()}

    def asked(self) -> None:
        """Somebody does not know what this node has."""
        self._told = None

    def is_due(self, count: int, now: float) -> bool:
        """Whether the others should be told, of so many here."""
        if self._told is None or self._told != count:
            return bool(count or self._told)
        return bool(count) and now - self._told_at >= GREETING

    def told(self, count: int, now: float) -> None:
        self._told, self._told_at = count, now
