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
