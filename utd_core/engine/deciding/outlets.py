"""Where an engine's events go besides its channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...store.outbox import Outbox


class Outlets(Protocol):
    """Knows who is told what. Asked where decisions are made: it must not wait, nor raise."""

    def attach(self, outbox: Outbox) -> None:
        """An engine opens, and puts what is to be told there."""
        ...

    def wanted(self, event: str) -> Sequence[str]:
        """The endpoints that are told events of this type, by name."""
        ...

    def filled(self, endpoints: Sequence[str]) -> None:
        """There is more for these endpoints, committed."""
        ...
