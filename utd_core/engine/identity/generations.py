"""Generations of user tokens: who was banned needs a new token, also after the ban is over.

- A ban, and a kick with block, raises the identity's generation, in the transaction that makes the ban.
- Whoever shows a token of an earlier one can neither join nor get a new token with it. The application's server signs
  the identity in anew, if it wants to.
- The number is the time of the ban in milliseconds, or one more than the last. So a row may be discarded when every
  token from before it has expired: the next number is above all that were ever given.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import Unauthenticated
from ...model.bans import BanMade, check_not_banned
from ...model.command import Actor
from ...store.base import StoredState
from ..core import Core, States
from ..deciding.aggregates import Batch
from ..kinds import ROOM

KIND = "generation"


class Generations:
    """Reads and raises them. They are never kept in memory: another engine on this store may raise one at any time."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._rows: dict[str, tuple[int, int]] = {}

    async def current(self, identity: str) -> int:
        """The generation that a new token gets. Raises `StoreFailed`."""
        return (await self._load(identity))[0]

    async def check(self, actor: Actor) -> int:
        """The generation of a token that is good to come in with. Raises `Unauthenticated` or `StoreFailed`."""
        current = await self.current(actor.identity)
        if actor.generation is not None and actor.generation < current:
            raise Unauthenticated(
                f"a ban revoked the token of {actor.identity!r}; the application's server has to give out a new one"
            )
        return current

    async def check_to_join(self, actor: Actor, room: str, states: States) -> None:
        """Raise `Banned` as long as a ban holds, afterwards `Unauthenticated` for a token from before it."""
        try:
            await self.check(actor)
        except Unauthenticated:
            state = await states.state(ROOM, room)
            for bans in (self._core.bans, {} if state is None else state.bans):
                check_not_banned(bans, actor.identity, self._core.clock.now())
            raise

    async def prepare(self, batches: Sequence[Batch]) -> None:
        """Read the generations that these batches raise, before `rows`. Raises `StoreFailed`."""
        banned = {event.ban.identity for batch in batches for event, _ in batch.events if isinstance(event, BanMade)}
        self._rows = {identity: await self._load(identity) for identity in sorted(banned)}

    def rows(self) -> list[tuple[StoredState, int]]:
        """What the transaction must write."""
        now = self._core.clock.now()
        # From then on no token from before is left that could be shown.
        of_no_use = now + self._core.settings.user_token_ttl
        rows = []
        for identity, (generation, version) in self._rows.items():
            raised = str(max(generation + 1, int(now * 1_000))).encode()
            rows.append((StoredState(KIND, identity, version + 1, raised, None, of_no_use), version))
        return rows

    async def _load(self, identity: str) -> tuple[int, int]:
        """Generation and version."""
        row = await self._core.store.load(KIND, identity)
        return (0, 0) if row is None else (int(row.payload), row.version)
