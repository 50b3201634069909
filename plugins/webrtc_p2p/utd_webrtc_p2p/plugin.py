"""The entry point (group `utd`). It names no backend: `Engine(media="webrtc_p2p")` says so, instead of half working."""

from __future__ import annotations

from utd_core.hooks import Check, hookimpl
from utd_core.hooks.library import check_library


@hookimpl
def utd_doctor() -> list[Check]:
    return [check_library("aiortc", distribution="aiortc")]
