"""How the contract suite opens the backend on a server that is not ours: the one that LIVEKIT_URL names."""

from __future__ import annotations

import uuid
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType
from typing import ClassVar

from utd_core.concurrency import Clock
from utd_core.errors import Unsupported
from utd_core.hooks import Harness
from utd_core.media.backend import BackendSpec, JoinTicket
from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import NOTIFICATION_FAULTS, Fault
from utd_core.media.notices import NotificationStream

from .backend import LiveKitBackend
from .capabilities import CAPABILITIES, FAULTS, NEWS_DELAY
from .control import LiveKitControl
from .faults import LENIENT, expired_ticket
from .plugin import SPEC
from .settings import LiveKitSettings

PREFIX = f"utd-contract-{uuid.uuid4().hex[:8]}-"
"""Of every room that is made there."""


def harness_elsewhere() -> Harness:
    """The one for the server that the environment names."""
    return OpenElsewhere if LiveKitSettings.read({}).is_plain else OpenEncryptedElsewhere


class ControlElsewhere(LiveKitControl):
    """Hears nothing from the server."""

    def notifications(self) -> NotificationStream:
        raise Unsupported("backend 'livekit' hears no notifications from a server that is not ours")


class BackendElsewhere(LiveKitBackend):
    """Nobody kills the server, and what it tells, it tells to somebody else."""

    capabilities: ClassVar[Capabilities] = replace(CAPABILITIES, notifications=False, webhooks=False)
    faults: ClassVar[frozenset[Fault]] = FAULTS - NOTIFICATION_FAULTS - {Fault.NODE_FAILURE}
    _make_control = ControlElsewhere


class EncryptedElsewhere(BackendElsewhere):
    """Over TLS, which goes through no wire of ours."""

    faults = BackendElsewhere.faults - {Fault.SIGNAL_DROP, Fault.FULL_RECONNECT, Fault.TOKEN_EXPIRY}


def _spec_of(backend: type[BackendElsewhere]) -> BackendSpec:
    return replace(SPEC, capabilities=backend.capabilities, faults=backend.faults)


class OpenElsewhere(AbstractAsyncContextManager[LiveKitBackend]):
    """A fresh backend, in rooms whose names begin as no others do."""

    news_delay = NEWS_DELAY
    spec: ClassVar[BackendSpec] = _spec_of(BackendElsewhere)
    _backend_type: ClassVar[type[BackendElsewhere]] = BackendElsewhere

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._settings = LiveKitSettings.read({"prefix": PREFIX})

    async def __aenter__(self) -> LiveKitBackend:
        self._backend = self._backend_type({"prefix": PREFIX, "faults": self._settings.is_plain}, self._clock)
        return self._backend

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._backend.aclose()

    async def expired_ticket(self, room: str, identity: str) -> JoinTicket:
        """A ticket that has run out longer ago than the server is lenient."""
        token = expired_ticket(self._settings, room, identity)
        return JoinTicket(self._settings.url, token, self._clock.now() - LENIENT)


class OpenEncryptedElsewhere(OpenElsewhere):
    """The same over TLS."""

    spec = _spec_of(EncryptedElsewhere)
    _backend_type = EncryptedElsewhere
