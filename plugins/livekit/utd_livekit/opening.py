"""What opening the backend for the contract suite has in common, on whichever server."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, ClassVar

from utd_core.concurrency import Clock
from utd_core.media.backend import JoinTicket

from .backend import LiveKitBackend
from .capabilities import NEWS_DELAY
from .faults import LENIENT, expired_ticket
from .settings import LiveKitSettings


class Opening(AbstractAsyncContextManager[LiveKitBackend]):
    """A fresh backend on a server that runs."""

    news_delay = NEWS_DELAY
    _backend_type: ClassVar[type[LiveKitBackend]] = LiveKitBackend

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @abstractmethod
    async def _server(self) -> Mapping[str, Any]:
        """See to it that the server runs; the backend's settings for it."""

    async def __aenter__(self) -> LiveKitBackend:
        settings = await self._server()
        self._settings = LiveKitSettings.read(settings)
        self._backend = self._backend_type(settings, self._clock)
        return self._backend

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._backend.aclose()

    async def expired_ticket(self, room: str, identity: str) -> JoinTicket:
        """A ticket that has run out longer ago than the server is lenient."""
        token = expired_ticket(self._settings, room, identity)
        return JoinTicket(self._settings.url, token, self._clock.now() - LENIENT)
