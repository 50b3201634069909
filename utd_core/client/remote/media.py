"""The media backends of a link: the plugins that are installed here, by the names that tickets say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from ...concurrency import Clock
from ...errors import BackendNotFound, Closed, InvalidInput
from ...hooks import default_manager
from ...media.backend import MediaBackend

Media = MediaBackend | Mapping[str, Mapping[str, Any]]
"""One backend for all tickets, or the settings of plugins' backends by name."""


class MediaBackends:
    """Made when a ticket asks for one. One that is handed in stays its owner's to close. Raises `InvalidInput`."""

    def __init__(self, media: Media | None, clock: Clock) -> None:
        if not (media is None or isinstance(media, MediaBackend | Mapping)):
            raise InvalidInput(
                f"media is a backend, or settings of backends by their names, got {type(media).__name__}"
            )
        self._given: MediaBackend | None = None
        self._settings: Mapping[str, Mapping[str, Any]] = {}
        if isinstance(media, MediaBackend):
            self._given = media
        elif media is not None:
            self._settings = media
        self._clock = clock
        self._made: dict[str, MediaBackend] = {}
        self._making = anyio.Lock()
        self._closed = False

    async def get(self, name: str) -> MediaBackend:
        """The backend of a ticket. Raises `BackendNotFound`, `PluginError`, and what a plugin says of its settings."""
        given = self._given
        if given is not None:
            if given.name != name:
                raise BackendNotFound(
                    f"the ticket is for {name!r}, and this client was given the backend {given.name!r}; "
                    "give it that of the engine, or none",
                    details={"name": name},
                )
            return given
        async with self._making:
            if self._closed:
                raise Closed("the client was closed; make a new one")
            if name not in self._made:
                self._made[name] = await default_manager().make_backend(name, self._settings.get(name), self._clock)
            return self._made[name]

    async def aclose(self) -> None:
        """Close those that were made here. Idempotent."""
        self._closed = True
        async with self._making:
            while self._made:
                _, backend = self._made.popitem()
                await backend.aclose()
