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
from collections.abc import Callable, Mapping
from typing import Any

from ..concurrency import Clock, SystemClock, TaskScope
from ..engine import Engine, EngineSettings
from ..engine.instruments import Instrument
from ..media.backend import MediaBackend
from ..store.projects import StoredProject, StoredProjects
from ..store.sql_store import SqlStore
from .projects import Hosted, Project
from .vault import Vault

log = logging.getLogger("utd_core.server")

INTERVAL = 2.0
"""Seconds between two looks for changes."""
_MISS_INTERVAL = 0.5
"""Seconds between two looks because somebody asked for a project that nobody knows."""


class _Place:
    """A project: the row as last seen, and its engine once that is open."""

    __slots__ = ("hosted", "opening", "row")

    def __init__(self, row: StoredProject) -> None:
        self.row = row
        self.hosted: Hosted | None = None
        self.opening: asyncio.Future[Engine] | None = None


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
        for row in await self._stored.all():
            self._see(row)
        self._scope.start(self._watch)

    async def aclose(self) -> None:
        """Close every engine. Idempotent."""
        self._closed = True
        # Engines that are just being opened are cancelled, and clean up by themselves.
        await self._scope.aclose()
        places, self._places = list(self._places.values()), {}
        await asyncio.gather(*(place.hosted.engine.aclose() for place in places if place.hosted is not None))
        if self._backend is not None and self._backend is not self._media:
            await self._backend.aclose()

    @property
    def engines(self) -> dict[str, Engine]:
        """Those that are open now, by app id."""
        return {app_id: place.hosted.engine for app_id, place in self._places.items() if place.hosted is not None}

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

    # Engines

    async def _host(self, place: _Place) -> Hosted:
        """The project with its engine, which is opened where it is not."""
        project = project_of(place.row, self._vault)
        if place.opening is None:
            place.opening = asyncio.get_running_loop().create_future()
            # Not in the task of whoever asked first: that may be cancelled, and others wait as well.
            self._scope.start(self._open_engine, place, project, place.opening)
        engine = await asyncio.shield(place.opening)
        # It may have been changed, or deleted, meanwhile.
        if self._places.get(project.app_id) is not place:
            raise Closed(f"project {project.app_id!r} was deleted")
        if place.hosted is None:
            place.hosted = Hosted(project_of(place.row, self._vault), engine)
        return place.hosted

    async def _open_engine(self, place: _Place, project: Project, opening: asyncio.Future[Engine]) -> None:
        assert self._backend is not None
        settings = self._settings if isinstance(self._settings, EngineSettings) else self._settings(project)
        engine = Engine(
            self._backend,
            store=self._store.scoped(project.app_id),
            clock=self._clock,
            app_id=project.app_id,
            settings=settings,
            instrument=self._instrument,
            token_key=self._vault.unseal(project.app_id, place.row.secrets).token_key.encode(),
        )
        try:
            await engine.__aenter__()
        except BaseException as error:
            place.opening = None
            failure = error if isinstance(error, Exception) else Closed("the server is closing")
            opening.set_exception(failure)
            opening.exception()  # seen, whether anybody waits for it or not
            if not isinstance(error, Exception):
                raise
        else:
            opening.set_result(engine)
