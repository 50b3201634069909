"""The parts of a server, put together from its settings."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

from starlette.types import ASGIApp

from ..concurrency import Clock, SystemClock
from ..engine.instruments import Instrument, Instruments
from ..errors import Closed, InvalidInput, Unavailable
from ..store import open_store
from ..store.factory import MEMORY
from ..store.sql_store import SqlStore
from .app import App
from .directory import Directory, OneProject, StoredDirectory
from .exchange import Exchange, Observer, write_to_log
from .figures import Figures
from .health import METRICS, READY, OperationsMount, Readiness
from .hosting import Hosting
from .http.rates import Rates
from .logs import Logs
from .metrics import Metrics
from .pusher import PusherMount
from .readings import Reading
from .settings import ServerSettings
from .tracing import Export
from .vault import Vault

log = logging.getLogger("utd_core.server")

_ASKED_OFTEN = frozenset({"/health", READY, METRICS})


class Node:
    """A server of the project that its settings name, or else of those in its database; open inside `async with`.
    `app` serves them.

    `logs` are those whose losses it reports. Raises `InvalidInput` without a project, or without the key to the secrets
    of those in the database, and `UTDStreamException` (missing_extra); opening it raises what opening the store and the
    media plugin does, and the engine of the project of the settings.
    """

    def __init__(self, settings: ServerSettings, *, logs: Logs | None = None, clock: Clock | None = None) -> None:
        self._settings = settings
        self._logs = logs
        self._clock = clock or SystemClock()
        self._export = None if settings.traces == "off" else Export(settings.traces)
        self._metrics = Metrics() if settings.metrics else None
        self._database = open_store(settings.store)
        self.host = Hosting(
            directory_of(settings, self._database),
            self._database,
            settings.media,
            media_settings=settings.media_settings,
            settings=settings.engine,
            webhooks=settings.webhooks,
            clock=self._clock,
            instrument=self._instrument(),
        )
        self.readiness = Readiness(self._clock, {"engine": self._check_engines, "store": self._check_store})
        rates = Rates(settings.http.max_buckets)
        self._sockets = PusherMount(self.host, settings=settings.sockets, rates=rates)
        self._app = App(
            self.host,
            mounts=[self._operations(), self._sockets],
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
            await opening.enter_async_context(self.host)
            if self._settings.project is not None:
                # Whatever is wrong with it is said now, and not to the first who asks for it.
                await self.host.find(self._settings.project.app_id)
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
        )

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
        project = self._settings.project
        hosted = None if project is None else await self.host.find(project.app_id)
        if not self.host.is_open or (hosted is not None and not hosted.engine.is_open):
            raise Unavailable("the engine is not open")

    async def _check_store(self) -> None:
        try:
            await self._database.next_deadline()
        except Closed:
            raise Unavailable("the store is not open") from None


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


def _write_to_log(exchange: Exchange) -> None:
    """Not those that come every few seconds and say nothing new."""
    if exchange.route not in _ASKED_OFTEN or exchange.status >= 400:
        write_to_log(exchange)
