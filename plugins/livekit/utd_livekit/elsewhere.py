"""How the contract suite opens the backend on a server that is not ours: the one that LIVEKIT_URL names."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from utd_core.errors import Unsupported
from utd_core.hooks import Harness
from utd_core.media.backend import BackendSpec
from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import NOTIFICATION_FAULTS, Fault
from utd_core.media.notices import NotificationStream

from .backend import LiveKitBackend
from .capabilities import CAPABILITIES, FAULTS
from .control import LiveKitControl
from .faults import MEDIA_FAULTS
from .opening import Opening
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
    """Nobody kills the server, its media take whatever way they find, and what it tells, it tells to somebody else."""

    capabilities: ClassVar[Capabilities] = replace(CAPABILITIES, notifications=False, webhooks=False)
    faults: ClassVar[frozenset[Fault]] = FAULTS - NOTIFICATION_FAULTS - {Fault.NODE_FAILURE, *MEDIA_FAULTS}
    _make_control = ControlElsewhere


class EncryptedElsewhere(BackendElsewhere):
    """Over TLS, which goes through no wire of ours."""

    faults = BackendElsewhere.faults - {Fault.SIGNAL_DROP, Fault.FULL_RECONNECT, Fault.TOKEN_EXPIRY}


def _spec_of(backend: type[BackendElsewhere]) -> BackendSpec:
    return replace(SPEC, capabilities=backend.capabilities, faults=backend.faults)


class OpenElsewhere(Opening):
    """A fresh backend, in rooms whose names begin as no others do."""

    spec: ClassVar[BackendSpec] = _spec_of(BackendElsewhere)
    _backend_type = BackendElsewhere

    async def _server(self) -> Mapping[str, Any]:
        return {"prefix": PREFIX, "faults": LiveKitSettings.read({}).is_plain}


class OpenEncryptedElsewhere(OpenElsewhere):
    """The same over TLS."""

    spec = _spec_of(EncryptedElsewhere)
    _backend_type = EncryptedElsewhere
