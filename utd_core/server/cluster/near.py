"""The engine of a project that this node holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ...broker import Recover, Subscription
from ...engine.subscriptions import Admission
from ...errors import Closed, Deposed
from ...media.signalling import SignallingDesk
from ...model.command import Actor, Command
from ...store.base import Head
from ...store.leases import Fence
from ..hosting.running import Running
from .holding import Holding
from .tenure import Tenure
from .way import Lost, OnLost

T = TypeVar("T")


class NearEngine:
    """An engine at work here, for as long as the lease lasts under which it was opened; a `Way`."""

    is_far = False

    def __init__(self, running: Running, holding: Holding, fence: Fence, tenure: Tenure, on_lost: OnLost) -> None:
        self.running = running
        self.holding = holding
        self.engine = running.engine
        self._fence = fence
        self._tenure = tenure
        self._on_lost = on_lost
        self._is_lost = False
        # Others wait for the project, who cannot ask this node.
        self.made_way = False
        fence.on_shut(self._lose)

    @property
    def is_open(self) -> bool:
        return not self._is_lost and self.engine.is_open

    async def execute(
        self, command: Command, actor: Actor, key: str | None, timeout: float, *, again: bool = False
    ) -> Any:
        try:
            return await self.engine.execute(command, actor=actor, idempotency_key=key)
        except Deposed as error:
            raise Lost(error.message) from error
        except Closed as error:
            if key is None and not command.spec.query:
                # Nobody knows whether it was done, and without a key it cannot be asked.
                raise
            raise Lost(error.message) from error

    async def subscribe(self, channel: str, *, actor: Actor, recover: Recover | None, capacity: int) -> Subscription:
        subscribing = self.engine.subscribe(channel, actor=actor, recover=recover, capacity=capacity)
        return await _or_lost(subscribing)

    def unsubscribe(self, subscription: Subscription) -> None:
        self.engine.unsubscribe(subscription)

    async def admit(self, channel: str, ended: Callable[[Exception | None], None], *, actor: Actor) -> Admission:
        return await _or_lost(self.engine.admit(channel, ended, actor=actor))

    def dismiss(self, admission: Admission) -> None:
        self.engine.dismiss(admission)

    async def signalling(self, channel: str, *, actor: Actor) -> SignallingDesk:
        return await _or_lost(self.engine.signalling(channel, actor=actor))

    def head(self, channel: str) -> Head | None:
        return self.engine.head(channel)

    def is_needed(self, seconds: float) -> bool:
        """Whether another node asks it, or somebody would miss its engine (see `Engine.is_needed`)."""
        return self.holding.is_followed or self.engine.is_needed(seconds)

    def give_up(self) -> None:
        """Nobody is let in from this moment on; whoever made it closes it. Idempotent."""
        self._lose()

    def make_way(self) -> bool:
        """Give up, as others wait for the project who cannot ask this node; whether that was not so before."""
        if self._is_lost:
            return False
        self.made_way = True
        self._lose()
        return True

    async def aclose(self) -> None:
        """Finish what is under way, close the engine, give the lease back, and tell the other nodes so. Idempotent."""
        await self.running.aclose(hurry=self.made_way)
        self._lose()
        await self._tenure.release(self._fence)
        # Whoever hears of it can claim the project at once.
        await self.holding.aclose()

    def _lose(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._on_lost(self)


async def _or_lost(operation: Awaitable[T]) -> T:
    try:
        return await operation
    except (Closed, Deposed) as error:
        raise Lost(error.message) from error
