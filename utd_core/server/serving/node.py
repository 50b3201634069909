"""The parts of a server, put together from its settings."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

from starlette.types import ASGIApp

from ...bus import LocalMessages, MessageBus
from ...concurrency import Clock, SystemClock
from ...engine.instruments import Instrument, Instruments
from ...errors import Closed, InvalidInput, StoreFailed, Unavailable
from ...hooks import default_manager
from ...store import open_store
from ...store.factory import MEMORY
from ...store.sql_store import SqlStore
from ..app import App
from ..exchange import Exchange, Observer, write_to_log
from ..hosting.directory import Directory, OneProject, StoredDirectory
from ..hosting.host import Hosting
from ..hosting.vault import Vault
from ..http.rates import Rates
from ..media_webhooks import MediaWebhooks
from ..operations.figures import Figures
from ..operations.health import CANNOT_WRITE, METRICS, READY, OperationsMount, Readiness
from ..operations.logs import Logs
from ..operations.metrics import Metrics
from ..operations.readings import Reading
from ..operations.tracing import Export
from ..pusher import PusherMount
from ..settings import LOCAL_BUS, ServerSettings

log = logging.getLogger("utd_core.server")

_ASKED_OFTEN = frozenset({"/health", READY, METRICS})


class Node:
    """A server of the project that its settings name, or else of those in its database; open inside `async with`.
    `app` serves them.

    `logs` are those whose losses it reports; a `bus` that is handed in stays its owner's. Raises `InvalidInput` without
    a project, or without the key to the secrets of those in the database, and `UTDStreamException` (missing_extra);
    opening it raises what opening the store and the media plugin does, and the engine of the project of the settings.
    """

    def __init__(
        self,
        settings: ServerSettings,
        *,
        logs: Logs | None = None,
        clock: Clock | None = None,
        bus: MessageBus | None = None,
    ) -> None:
        self._settings = settings
        self._logs = logs
        self._clock = clock or SystemClock()
        self._export = None if settings.traces == "off" else Export(settings.traces)
        self._metrics = Metrics() if settings.metrics else None
        self._database = open_store(settings.store)
        self._own_bus = _bus_of(settings) if bus is None else None
        self._bus = bus or self._own_bus or LocalMessages()
        rates = Rates(settings.http.max_buckets)
        self.host = Hosting(
            directory_of(settings, self._database),
            self._database,
            settings.media,
            media_settings=settings.media_settings,
            settings=settings.engine,
            webhooks=settings.webhooks,
            clock=self._clock,
            instrument=self._instrument(),
            bus=self._bus,
            idle=settings.project_idle,
            rates=rates,
        )
        self.readiness = Readiness(
            self._clock,
            {"engine": self._check_engines, "store": self._check_store, "bus": self._check_bus},
        )
        self._sockets = PusherMount(self.host, settings=settings.sockets, bus=self._bus, rates=rates)
        self._app = App(
            self.host,
            mounts=[self._operations(), self._sockets, MediaWebhooks(self.host.receive_media_webhook, self._bus)],
            observers=self._observers(),
            settings=settings.http,
            rates=rates,
        )
        self._figures = Figures(settings.metrics_projects)
        self._open = AsyncExitStack()

    @property
    def app(self) -> ASGIApp:
        """What a server runs; it needs no lifespan."""
        return self._app if self._export is None else self._export.tracing.around(self._app)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            if self._export is not None:
                await opening.enter_async_context(self._export)
            await opening.enter_async_context(self._database)
            if self._own_bus is not None:
                await opening.enter_async_context(self._own_bus)
            await opening.enter_async_context(self.host)
            if self._settings.project is not None:
                # Whatever is wrong with it is said now, and not to the first who asks for it.
                await self._find(self._settings.project.app_id)
            elif not self.host.app_ids:
                log.warning("there is no project in the database yet; make one: utd project create")
            await opening.enter_async_context(self._app)
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def drain(self) -> None:
        """Be not ready, and after a while send every socket elsewhere; requests that come are still answered."""
        self.readiness.draining = True
        if self._settings.drain_delay:
            await self._clock.sleep(self._settings.drain_delay)
        await self._sockets.drain()

    async def read(self) -> Reading:
        """What there is to tell at this moment. Raises `StoreFailed`, and `Closed` before it was opened."""
        running, webhooks = self.host.running, {}
        for app_id, each in running.items():
            # One of them may have been deleted while the others were asked.
            with suppress(Closed):
                webhooks[app_id] = await each.webhooks.statistics()
        return self._figures.reading(
            engines={app_id: each.engine.statistics() for app_id, each in running.items()},
            sockets=self._sockets.statistics(),
            webhooks=webhooks,
            log_dropped=0 if self._logs is None else self._logs.dropped,
            is_ready=not self.readiness.draining,
            cluster=self.host.cluster.statistics(),
            bus=self._bus.statistics(),
        )

    async def _find(self, app_id: str) -> None:
        """See to it that somebody works for a project. Raises what opening its engine does."""
        try:
            await self.host.find(app_id)
        except Unavailable as error:
            if self._settings.bus == LOCAL_BUS:
                raise Unavailable(
                    f"{error.message}. If another node works on this database, give all of them one bus, redis:// say"
                ) from error
            log.warning("project %s has nobody who works for it yet: %s", app_id, error)

    def _instrument(self) -> Instrument | None:
        found: list[Instrument] = []
        if self._export is not None:
            found.append(self._export.tracing)
        if self._metrics is not None:
            found.append(self._metrics)
        return Instruments(*found) if len(found) > 1 else next(iter(found), None)

    def _observers(self) -> list[Observer]:
        observers: list[Observer] = [_write_to_log]
        if self._metrics is not None:
            observers.append(self._metrics.note)
        if self._export is not None:
            observers.append(self._export.tracing.note)
        return observers

    def _operations(self) -> OperationsMount:
        token = self._settings.metrics_token
        return OperationsMount(
            self.readiness, self._metrics, self.read, None if token is None else token.get_secret_value()
        )

    async def _check_engines(self) -> None:
        if not self.host.is_open:
            raise Unavailable("the projects are not open")

    async def _check_bus(self) -> None:
        if not self._bus.statistics().connected:
            raise Unavailable("the other nodes cannot be reached")

    async def _check_store(self) -> str | None:
        """A store that can be read and not written to is the same on all nodes, mostly. Were none of them ready, nobody
        would be answered what can be; where another node can write, that one is better."""
        try:
            await self._database.next_deadline()
        except Closed:
            raise Unavailable("the store is not open") from None
        if not self.host.cannot_write:
            return None
        if await self.host.is_alone_in_that():
            raise StoreFailed("this node cannot write to the store, and another one can")
        return CANNOT_WRITE


def directory_of(settings: ServerSettings, database: SqlStore) -> Directory:
    """Where a server with these settings learns of its projects. Raises `InvalidInput` where it cannot."""
    if settings.project is not None:
        return OneProject(settings.project.as_project())
    if settings.store == MEMORY:
        raise InvalidInput("there is no project; give [project] an app_id, a key and secrets, or use --dev")
    try:
        return StoredDirectory(database, Vault.from_environment())
    except InvalidInput as error:
        raise InvalidInput(
            f"there is no project in the settings, so the server is for those in its database, but {error.message}. "
            "Or give [project] an app_id, a key and secrets, or use --dev"
        ) from None


def _bus_of(settings: ServerSettings) -> MessageBus:
    """The way to the other nodes, not opened. Raises what `create_bus` does."""
    manager = default_manager()
    manager.load()
    return manager.create_bus(settings.bus, settings.bus_settings)


def _write_to_log(exchange: Exchange) -> None:
    """Not those that come every few seconds and say nothing new."""
    if exchange.route not in _ASKED_OFTEN or exchange.status >= 400:
        write_to_log(exchange)
