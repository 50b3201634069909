"""Many projects on one server: each has an engine of its own, on one database and one media backend.

- A project's engine is opened when it is first asked for, or when one of its deadlines falls due. It sees the rows and
  the media rooms of its project, and no others.
- What another process changes (`utd project suspend`, a new secret) is noticed within `interval` seconds; a project
  that was just made, at its first request.
- A project that is deleted has its engine closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from ..concurrency import Clock, SystemClock, TaskScope
from ..engine import Engine, EngineSettings
from ..engine.instruments import Instrument
from ..errors import Closed, UTDStreamException
from ..hooks import default_manager
from ..media.backend import MediaBackend
from ..store.projects import StoredProject, StoredProjects
from ..store.sql_store import SqlStore
from .projects import Hosted, Project
from .registry import project_of
from .vault import Vault

log = logging.getLogger("utd_core.server")

INTERVAL = 2.0
"""Seconds between two looks for changes."""
_MISS_INTERVAL = 0.5
"""Seconds between two looks because somebody asked for a project that nobody knows."""


class _Place:
    """A project: its row as last seen, its engine once that is open, and both together as they are handed out."""

    __slots__ = ("engine", "hosted", "is_troubled", "opening", "row")

    def __init__(self, row: StoredProject) -> None:
        self.row = row
        self.engine: Engine | None = None
        self.opening: asyncio.Future[Engine] | None = None
        self.hosted: Hosted | None = None
        self.is_troubled = False


class Hosting:
    """The projects in the database of `store`, open inside `async with`; a `Host`.

    `store` stays its owner's to close, and so does a backend that is handed in. `settings` are those of every engine,
    or say what a project's are. Opening raises what the store and the media plugin raise.
    """

    def __init__(
        self,
        store: SqlStore,
        vault: Vault,
        media: str | MediaBackend = "mock",
        *,
        media_settings: Mapping[str, Any] | None = None,
        settings: EngineSettings | Callable[[Project], EngineSettings] | None = None,
        clock: Clock | None = None,
        instrument: Instrument | None = None,
        interval: float = INTERVAL,
    ) -> None:
        self._store = store
        self._vault = vault
        self._media = media
        self._media_settings = media_settings
        self._settings = settings or EngineSettings()
        self._clock = clock or SystemClock()
        self._instrument = instrument
        self._interval = interval
        self._scope = TaskScope("hosting")
        self._backend: MediaBackend | None = None
        self._stored: StoredProjects
        self._places: dict[str, _Place] = {}
        self._app_ids: dict[str, str] = {}
        self._looking = asyncio.Lock()
        self._looked_at = 0.0
        self._closed = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def open(self) -> None:
        """Learn of every project, and look after them from now on."""
        self._check_open()
        await self._store.open()
        self._stored = self._store.projects
        if isinstance(self._media, MediaBackend):
            self._backend = self._media
        else:
            manager = default_manager()
            await asyncio.to_thread(manager.load)
            self._backend = manager.create_backend(self._media, self._media_settings, self._clock)
        await self._scope.open()
        self._looked_at = self._clock.monotonic()
        for row in await self._stored.all():
            self._see(row)
        self._scope.start(self._every_interval, self._look, name="changes")
        self._scope.start(self._every_interval, self._wake_those_due, name="deadlines")

    async def aclose(self) -> None:
        """Close every engine. Idempotent."""
        self._closed = True
        # An engine that is just being opened cleans up by itself.
        await self._scope.aclose()
        await asyncio.gather(*(engine.aclose() for engine in self.engines.values()))
        self._places.clear()
        if self._backend is not None and self._backend is not self._media:
            await self._backend.aclose()

    @property
    def engines(self) -> dict[str, Engine]:
        """Those that are open now, by app id."""
        return {app_id: place.engine for app_id, place in self._places.items() if place.engine is not None}

    async def find(self, app_id: str) -> Hosted | None:
        self._check_open()
        place = self._places.get(app_id)
        if place is None:
            await self._look_again()
            place = self._places.get(app_id)
        return None if place is None else place.hosted or await self._host(place)

    async def find_by_key(self, key: str) -> Hosted | None:
        self._check_open()
        if key not in self._app_ids:
            await self._look_again()
        app_id = self._app_ids.get(key)
        return None if app_id is None else await self.find(app_id)

    async def _host(self, place: _Place) -> Hosted | None:
        """The project as it is now, with its engine, which is opened where it is not."""
        project = project_of(place.row, self._vault)
        if place.engine is None:
            await self._engine(place, project)
            # It may have been changed, or deleted, meanwhile.
            return await self.find(project.app_id)
        place.hosted = Hosted(project, place.engine)
        return place.hosted

    async def _engine(self, place: _Place, project: Project) -> Engine:
        if place.opening is None:
            place.opening = asyncio.get_running_loop().create_future()
            # Not in the task of whoever asked first: that may be cancelled, and others wait as well.
            self._scope.start(self._open_engine, place, project, place.opening)
        return await asyncio.shield(place.opening)

    async def _open_engine(self, place: _Place, project: Project, opening: asyncio.Future[Engine]) -> None:
        try:
            engine = self._make_engine(place.row, project)
            await engine.__aenter__()
        except BaseException as error:
            opening.set_exception(error if isinstance(error, Exception) else Closed("the server is closing"))
            opening.exception()  # seen, whether anybody waits for it or not
            if not isinstance(error, Exception):
                raise
        else:
            place.engine = engine
            opening.set_result(engine)
            if self._places.get(project.app_id) is not place:
                await engine.aclose()
        finally:
            place.opening = None

    def _make_engine(self, row: StoredProject, project: Project) -> Engine:
        assert self._backend is not None
        return Engine(
            self._backend,
            store=self._store.scoped(project.app_id),
            clock=self._clock,
            app_id=project.app_id,
            settings=self._settings if isinstance(self._settings, EngineSettings) else self._settings(project),
            instrument=self._instrument,
            token_key=self._vault.unseal(row.app_id, row.secrets).token_key.encode(),
        )

    async def _every_interval(self, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.sleep(self._interval)
            try:
                await look()
            except Closed:
                return
            except UTDStreamException as error:
                log.warning("the projects could not be looked at; again in %s s: %s", self._interval, error)

    async def _look_again(self) -> None:
        """Look, unless somebody has done it a moment ago; however many ask for what is not there."""
        async with self._looking:
            if self._clock.monotonic() - self._looked_at >= _MISS_INTERVAL:
                await self._look()

    async def _look(self) -> None:
        """Notice what has changed."""
        began = self._clock.monotonic()
        present = await self._stored.versions()
        for app_id in self._places.keys() - present.keys():
            self._forget(app_id)
        for app_id, version in present.items():
            place = self._places.get(app_id)
            if place is None or (place.row.version, place.row.key) != version:
                row = await self._stored.load(app_id)
                if row is not None:
                    self._see(row)
        self._looked_at = began

    def _see(self, row: StoredProject) -> None:
        place = self._places.get(row.app_id)
        if place is not None and place.row.key != row.key:
            # Deleted and made anew under the same name.
            self._forget(row.app_id)
            place = None
        if place is None:
            place = self._places[row.app_id] = _Place(row)
        place.row, place.hosted, place.is_troubled = row, None, False
        self._app_ids[row.key] = row.app_id

    def _forget(self, app_id: str) -> None:
        place = self._places.pop(app_id)
        self._app_ids.pop(place.row.key, None)
        if place.engine is not None:
            self._scope.start(place.engine.aclose)

    async def _wake_those_due(self) -> None:
        """Open the engines of projects whose deadlines have come; nobody may be there to ask for them."""
        for app_id in await self._stored.due(self._clock.now()):
            place = self._places.get(app_id)
            if place is None or place.engine is not None or place.row.suspended:
                continue
            try:
                await self._host(place)
            except UTDStreamException as error:
                if not place.is_troubled:
                    log.warning("project %s has something to do and cannot be opened: %s", app_id, error)
                place.is_troubled = True

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the server was closed")
