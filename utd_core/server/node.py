"""The parts of a server, put together from its settings."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from starlette.types import ASGIApp

from ..concurrency import Clock, SystemClock
from ..engine import Engine
from ..engine.instruments import Instrument, Instruments
from ..errors import Closed, InvalidInput, Unavailable
from ..store import open_store
from .app import App
from .exchange import Exchange, Observer, write_to_log
from .health import METRICS, READY, OperationsMount, Readiness
from .logs import Logs
from .metrics import Metrics
from .projects import SingleHost
from .pusher import PusherMount
from .readings import Reading
from .settings import ServerSettings
from .tracing import Export
from .webhooks import Webhooks

_ASKED_OFTEN = frozenset({"/health", READY, METRICS})


class Node:
    """A server of one project, open inside `async with`; `app` serves it.

    `logs` are those whose losses it reports. Raises `InvalidInput` without a project, and `UTDStreamException`
    (missing_extra); opening it raises what opening an engine does.
    """

    def __init__(self, settings: ServerSettings, *, logs: Logs | None = None, clock: Clock | None = None) -> None:
        if settings.project is None:
            raise InvalidInput("there is no project; give [project] an app_id, a key and secrets, or use --dev")
        self.project = settings.project.as_project()
        self._settings = settings
        self._logs = logs
        self._clock = clock or SystemClock()
        self._export = None if settings.traces == "off" else Export(settings.traces)
        self._metrics = Metrics() if settings.metrics else None
        self._database = open_store(settings.store)
        endpoints = self.project.webhooks
        self.webhooks = Webhooks(endpoints, settings.webhooks, clock=self._clock) if endpoints else None
        self.engine = Engine(
            settings.media,
            store=self._database.scoped(self.project.app_id),
            clock=self._clock,
            media_settings=settings.media_settings,
            app_id=self.project.app_id,
            settings=settings.engine,
            instrument=self._instrument(),
            outlets=self.webhooks,
        )
        self.readiness = Readiness(self._clock, {"engine": self._check_engine, "store": self._check_store})
        self._sockets = PusherMount(SingleHost(self.engine, self.project), settings=settings.sockets)
        self._app = App(
            SingleHost(self.engine, self.project),
            mounts=[self._operations(), self._sockets],
            observers=self._observers(),
            settings=settings.http,
        )
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
            await opening.enter_async_context(self.engine)
            if self.webhooks is not None:
                # Left before the engine, and after the last request.
                await opening.enter_async_context(self.webhooks)
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
        return Reading(
            engines={self.project.app_id: self.engine.statistics()},
            sockets=self._sockets.statistics(),
            webhooks={} if self.webhooks is None else {self.project.app_id: await self.webhooks.statistics()},
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

    async def _check_engine(self) -> None:
        if not self.engine.is_open:
            raise Unavailable("the engine is not open")

    async def _check_store(self) -> None:
        try:
            await self._database.next_deadline()
        except Closed:
            raise Unavailable("the store is not open") from None


def _write_to_log(exchange: Exchange) -> None:
    """Not those that come every few seconds and say nothing new."""
    if exchange.route not in _ASKED_OFTEN or exchange.status >= 400:
        write_to_log(exchange)
