"""What the parts of one engine share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ..broker.base import Broker
from ..concurrency import Clock, TaskScope
from ..media.backend import MediaBackend, MediaControl
from ..model.bans import Ban
from ..model.commands.internal import Internal
from ..store.base import Store
from .deciding.outlets import Outlets
from .instruments import Instrument
from .kinds import Kind
from .media.presence import Presence
from .settings import EngineSettings
from .timing.alarms import Agenda
from .timing.upkeep import Upkeep

K = TypeVar("K", bound=Hashable)


class States(Protocol):
    """The rooms and calls, for those who do not decide about them."""

    def peek(self, kind: Kind, key: str) -> Any:
        """The state if it is in memory, else None."""
        ...

    async def state(self, kind: Kind, key: str) -> Any:
        """The state, None where there is none. Raises `StoreFailed`."""
        ...

    def tell(self, kind: Kind, key: str, news: Internal) -> None:
        """Have the model decide what follows from something that happened. News that fail are not repeated: whoever
        brings them looks again from time to time."""
        ...


@dataclass(slots=True, eq=False)
class Core:
    """`presences` are the people by media room, `bans` those of the whole project by identity, as committed last.
    `token_key`: of the owner's choice; None: the one in the store."""

    app_id: str
    settings: EngineSettings
    clock: Clock
    scope: TaskScope
    agenda: Agenda
    store: Store
    broker: Broker
    backend: MediaBackend
    control: MediaControl
    instrument: Instrument | None = None
    outlets: Outlets | None = None
    token_key: bytes | None = field(default=None, repr=False)
    presences: dict[str, Presence] = field(default_factory=dict)
    bans: Mapping[str, Ban] = field(default_factory=dict)

    def upkeep(
        self, name: str, handler: Callable[[K], Awaitable[None]], limit: int, *, patience: float | None = None
    ) -> Upkeep[K]:
        """Work that is done again until it holds, at most `limit` keys at once, each for at most `patience` seconds (by
        default as long as one call to the backend may take)."""
        return Upkeep(
            name,
            handler,
            scope=self.scope,
            clock=self.clock,
            agenda=self.agenda,
            limit=limit,
            patience=self.settings.backend_timeout if patience is None else patience,
            retry_first=self.settings.retry_first,
            retry_limit=self.settings.retry_limit,
        )
