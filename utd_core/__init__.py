"""One session API (rooms, seats, stage, calls) over any media backend, with an engine you own.

These are the names an application uses. Each is loaded when it is first touched, so that `import utd_core` costs
next to nothing and a program pays only for the half that it uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .version import __version__

if TYPE_CHECKING:
    from .client import (
        Observable,
        UTDAudioRoomSession,
        UTDCall,
        UTDCallSession,
        UTDCallStatus,
        UTDLiveStreamSession,
        UTDRoom,
        UTDSeat,
        UTDSeatGrid,
        UTDSession,
        UTDStageMember,
        UTDStreamClient,
        UTDStreamType,
        UTDTokenResponse,
    )
    from .engine import Engine
    from .errors import ErrorCode, UTDStreamException
    from .media.frames import AudioFrame, PixelFormat, VideoFrame
    from .media.quality import VideoQuality
    from .model.permission import TrackSource
    from .model.roles import Role
    from .model.seats import SeatMode

__all__ = [
    "AudioFrame",
    "Engine",
    "ErrorCode",
    "Observable",
    "PixelFormat",
    "Role",
    "SeatMode",
    "TrackSource",
    "UTDAudioRoomSession",
    "UTDCall",
    "UTDCallSession",
    "UTDCallStatus",
    "UTDLiveStreamSession",
    "UTDRoom",
    "UTDSeat",
    "UTDSeatGrid",
    "UTDSession",
    "UTDStageMember",
    "UTDStreamClient",
    "UTDStreamException",
    "UTDStreamType",
    "UTDTokenResponse",
    "VideoFrame",
    "VideoQuality",
    "__version__",
]

_HOMES = {
    "AudioFrame": "media.frames",
    "Engine": "engine",
    "ErrorCode": "errors",
    "PixelFormat": "media.frames",
    "Role": "model.roles",
    "SeatMode": "model.seats",
    "TrackSource": "model.permission",
    "UTDStreamException": "errors",
    "VideoFrame": "media.frames",
    "VideoQuality": "media.quality",
}
"""Where a public name lives; one that is not listed lives in `client`."""


if not TYPE_CHECKING:  # a checker that sees this would take every misspelt name for one of ours

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'client')}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
