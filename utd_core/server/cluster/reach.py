"""Whether the others can ask a node, and what it may do about projects accordingly: rules, and nothing else.

A node that reaches the database and not the bus can keep a lease, but nobody can ask it. So it makes way, where there
is somebody to make way for, and only there: else a bus that is away for all would have projects go from node to node.

- A node on the bus that cannot ask a holder says in the database that it wants the lease (`may_want`).
- A holder that is off the bus gives back what is wanted (`makes_way`), and nothing else.
- What is free is first for those on the bus; the others are courteous (`courtesy`), and take what nobody else does.

So a project moves only from a node that has been off the bus for a while to one that has been on it for a while. It
does not come back before these two have changed places.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

AWAY = 2.0
"""Seconds that a node must have been off the bus to make way: a connection that is made anew is back before."""
SETTLED = 3.0
"""Seconds that a node must have been on it to want anything: when the bus was away, the holder may come back later."""
COURTESY = 2.0
"""Seconds that those off the bus leave what is free to the others, who look several times in one of them."""


@dataclass(frozen=True, slots=True)
class Reach:
    """`is_on_bus`: the others can ask this node, and it can ask them. `lasting`: seconds for which that has been so;
    where it is not, since they could."""

    is_on_bus: bool = True
    lasting: float = inf

    @property
    def may_want(self) -> bool:
        """Whether it is the holder who cannot be asked, and not this node that cannot ask."""
        return self.is_on_bus and self.lasting >= SETTLED

    @property
    def makes_way(self) -> bool:
        return not self.is_on_bus and self.lasting >= AWAY

    @property
    def courtesy(self) -> float:
        """Seconds for which something must have been free to be this node's."""
        return 0.0 if self.is_on_bus else COURTESY
