"""A way to the engine of a project: on this node, or by asking the node that holds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ...broker import Recover, Subscription
from ...engine.subscriptions import Admission
from ...media.signalling import SignallingDesk
from ...model.command import Actor, Command
from ...store.base import Head


class Lost(Exception):
    """The engine cannot be reached in this way (any more): look who holds the project now, and ask there. A command may
    have been done, unless it had no key: then it was not."""


class Way(Protocol):
    """Each method means what it means of `Engine`, and raises the same, but `Lost` in place of `Closed`.

    A way that is lost stays lost, and whoever made it is told so, once. `is_far`: it leads to another node, where only
    what is asked under a key can be asked twice.
    """

    is_far: bool

    @property
    def is_open(self) -> bool:
        """Not lost yet."""
        ...

    async def execute(
        self, command: Command, actor: Actor, key: str | None, timeout: float, *, again: bool = False
    ) -> Any:
        """`timeout`: seconds, after which whoever asks has given up. `again`: it was asked before under this key."""
        ...

    async def subscribe(
        self, channel: str, *, actor: Actor, recover: Recover | None, capacity: int
    ) -> Subscription: ...

    def unsubscribe(self, subscription: Subscription) -> None:
        """Idempotent, and fine for a subscription of another way, which is closed."""
        ...

    async def admit(self, channel: str, ended: Callable[[Exception | None], None], *, actor: Actor) -> Admission: ...

    def dismiss(self, admission: Admission) -> None: ...

    async def signalling(self, channel: str, *, actor: Actor) -> SignallingDesk:
        """A desk whose lines are lost with this way."""
        ...

    def head(self, channel: str) -> Head | None: ...

    async def aclose(self) -> None:
        """Idempotent."""
        ...


OnLost = Callable[[Way], None]
"""Is told that a way is lost. Called in the moment in which it is: it must not wait, nor raise."""
