"""The entry point (group `utd`): what the mock tells the plugin manager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from utd_core.concurrency import Clock
from utd_core.hooks import Check, hookimpl
from utd_core.media.backend import BackendSpec, MediaBackend

from .capabilities import CAPABILITIES, FAULTS


def create(settings: Mapping[str, Any], clock: Clock) -> MediaBackend:
    """Make the backend. A plugin with a media library imports it here, and not before."""
    from .backend import MockBackend

    return MockBackend(settings, clock)


@hookimpl
def utd_media_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="mock",
            summary="in memory, offline, in virtual time; obeys every named fault",
            capabilities=CAPABILITIES,
            create=create,
            distribution="utd-mock",
            faults=FAULTS,
        )
    ]


@hookimpl
def utd_doctor() -> list[Check]:
    return [Check("mock", ok=True, detail="needs nothing but Python")]
