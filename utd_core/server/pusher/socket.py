"""One client's connection."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

import anyio

from ...model.command import Actor
from .frames import Frame
from .outbox import Outbox
from .pace import Pace
from .presence import Member

if TYPE_CHECKING:
    from .channel import Place

_NUMBERS = 10**9


def new_socket_id() -> str:
    """An id that nobody has, on any node, and nobody guesses."""
    return f"{secrets.randbelow(_NUMBERS)}.{secrets.randbelow(_NUMBERS)}"


@dataclass(frozen=True, slots=True)
class User:
    """Who is signed in on a socket.

    `data`: the JSON text that says so. `info`: what presence channels show of them. `actor`: who they are to the
    engine, None where their id is no identity there. `good_until`: when that has to be shown anew, in seconds since the
    Unix epoch.
    """

    id: str
    data: str
    info: Any = None
    actor: Actor | None = None
    good_until: float = inf

    @property
    def member(self) -> Member:
        return Member(self.id, self.info)


@dataclass(slots=True, eq=False)
class Socket:
    """`places`: what it follows, by channel. `life`: the endpoint that reads from it."""

    id: str
    outbox: Outbox
    messages: Pace
    client_events: Pace
    life: anyio.CancelScope
    user: User | None = None
    places: dict[str, Place] = field(default_factory=dict)

    def send(self, frame: Frame) -> None:
        """Never waits."""
        self.outbox.push(frame)

    def send_all(self, frames: Sequence[Frame]) -> None:
        """The same for several."""
        self.outbox.push_all(frames)

    def close(self, code: int, reason: str) -> None:
        """End it after what was sent."""
        self.outbox.close(code, reason)

    def abort(self) -> None:
        """End it now, whatever the client does. Idempotent."""
        self.outbox.abort()
        self.life.cancel()

    @property
    def good_until(self) -> float:
        """When the first token expires by which it is somebody's, or follows something."""
        tokens = [place.good_until for place in self.places.values()]
        if self.user is not None:
            tokens.append(self.user.good_until)
        return min(tokens, default=inf)
