"""The entry point (group `utd`): what LiveKit tells the plugin manager. Its libraries are imported when used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from utd_core.concurrency import Clock
from utd_core.hooks import Check, Harness, hookimpl
from utd_core.hooks.library import check_library
from utd_core.media.backend import BackendSpec, MediaBackend

from .capabilities import CAPABILITIES, FAULTS
from .server.doctor import check_network, check_server


def create(settings: Mapping[str, Any], clock: Clock) -> MediaBackend:
    """Make the backend."""
    from .backend import LiveKitBackend

    return LiveKitBackend(settings, clock)


@hookimpl
def utd_media_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="livekit",
            summary="rooms of any size over a LiveKit SFU",
            capabilities=CAPABILITIES,
            create=create,
            requires=("livekit.rtc", "livekit.api"),
            distribution="utd-livekit",
            faults=FAULTS,
        )
    ]


@hookimpl
def utd_contract_harness(name: str) -> Harness | None:
    if name != "livekit":
        return None
    from .testing import contract_harness

    return contract_harness()


@hookimpl
def utd_doctor() -> list[Check]:
    return [
        check_library("livekit.rtc", distribution="livekit"),
        check_library("livekit.api", distribution="livekit-api"),
        check_server(),
        check_network(),
    ]
