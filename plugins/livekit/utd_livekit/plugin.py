"""The entry point (group `utd`). It names no backend: `Engine(media="livekit")` says so, instead of half working."""

from __future__ import annotations

from utd_core.hooks import Check, hookimpl
from utd_core.hooks.library import check_library

from .server import check_server


@hookimpl
def utd_doctor() -> list[Check]:
    return [
        check_library("livekit.rtc", distribution="livekit"),
        check_library("livekit.api", distribution="livekit-api"),
        check_server(),
    ]
