"""A project at work: its engine, and the webhooks that tell what happens on it."""

from __future__ import annotations

import anyio

from ...engine import Engine
from ..webhooks import Webhooks


class Running:
    """Opened once, and closed by whoever opened it."""

    def __init__(self, engine: Engine, webhooks: Webhooks) -> None:
        self.engine = engine
        self.webhooks = webhooks

    @property
    def is_busy(self) -> bool:
        """Whether the engine is (see `Engine.is_busy`), or something is being delivered. Raises `Closed`."""
        return self.engine.is_busy or not self.webhooks.is_idle

    async def open(self) -> None:
        """Raises what opening an engine does; then nothing is left open."""
        await self.engine.__aenter__()
        try:
            await self.webhooks.__aenter__()
        except BaseException:
            # A scope that was cancelled would cancel this too, at each of its awaits.
            with anyio.CancelScope(shield=True):
                await self.webhooks.aclose()
                await self.engine.aclose()
            raise

    async def aclose(self, *, hurry: bool = False) -> None:
        """Deliver what is due, for a while (unless there is a `hurry`: the next holder delivers it), and end.
        Idempotent."""
        try:
            if self.engine.is_open and not hurry:
                await self.webhooks.flush()
        finally:
            await self.webhooks.aclose()
            await self.engine.aclose()
