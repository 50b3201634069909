"""The entry point (group `utd`): what webrtc_p2p tells the plugin manager. It imports aiortc only to make a backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from utd_core.concurrency import Clock
from utd_core.hooks import Check, hookimpl
from utd_core.hooks.library import check_library
from utd_core.media.backend import BackendSpec, MediaBackend

from .capabilities import CAPABILITIES, FAULTS


def create(settings: Mapping[str, Any], clock: Clock) -> MediaBackend:
    """Make the backend."""
    from .backend import P2PBackend

    return P2PBackend(settings, clock)


@hookimpl
def utd_media_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="webrtc_p2p",
            summary="calls of two over WebRTC, straight from one to the other (aiortc)",
            capabilities=CAPABILITIES,
            create=create,
            requires=("aiortc",),
            distribution="utd-webrtc-p2p",
            faults=FAULTS,
        )
    ]


@hookimpl
def utd_doctor() -> list[Check]:
    return [check_library("aiortc", distribution="aiortc")]
