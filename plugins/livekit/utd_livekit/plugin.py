"""The entry point (group `utd`): what LiveKit tells the plugin manager. Its libraries are imported when used."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from utd_core.concurrency import Clock
from utd_core.hooks import Check, Harness, hookimpl
from utd_core.hooks.library import check_library
from utd_core.media.backend import BackendSpec, MediaBackend

from .capabilities import CAPABILITIES, FAULTS
from .server.binary import ensure_binary
from .server.doctor import URL, check_network, check_server


def create(settings: Mapping[str, Any], clock: Clock) -> MediaBackend:
    """Make the backend."""
    from .backend import LiveKitBackend

    return LiveKitBackend(settings, clock)


def standalone(say: Callable[[str], object]) -> Mapping[str, Any]:
    """A server of its own, built first where there is none, unless the environment names one that runs.

    Blocks. Raises `UTDStreamException` (unavailable) that says what is missing.
    """
    if os.environ.get(URL):
        return {}
    ensure_binary(say)
    return {"local": True}


SPEC = BackendSpec(
    name="livekit",
    summary="rooms of any size over a LiveKit SFU",
    capabilities=CAPABILITIES,
    create=create,
    requires=("livekit.rtc", "livekit.api"),
    distribution="utd-livekit",
    faults=FAULTS,
    standalone=standalone,
)


@hookimpl
def utd_media_backends() -> list[BackendSpec]:
    return [SPEC]


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
