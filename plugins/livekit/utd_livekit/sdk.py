"""The few places where the Python SDK is taken further than its own face goes.

Its private parts are touched here and nowhere else; `tests/livekit/test_sdk.py` says when a new release moves them.
"""

from __future__ import annotations

import logging
from typing import Any

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2

# What the native library says goes where the application sends its log, and without one not to the terminal.
logging.getLogger("livekit").addHandler(logging.NullHandler())


def set_enabled(publication: rtc.RemoteTrackPublication, enabled: bool) -> None:
    """Whether the server sends a subscribed track; one that is not enabled costs nothing downstream."""
    request = ffi_pb2.FfiRequest()
    request.enable_remote_track_publication.track_publication_handle = publication._ffi_handle.handle
    request.enable_remote_track_publication.enabled = enabled
    FfiClient.instance.request(request)


def warm_up() -> None:
    """Load the native library, which stays as long as the process. Blocks for a moment. Idempotent."""
    FfiClient.instance  # noqa: B018  # made by being looked at


def let_go(*held: Any) -> None:
    """Give back what the native library keeps for these objects of the SDK, whoever still holds them here.

    It keeps threads, sockets and codecs for a track; the SDK gives them back when Python's collector comes by.
    """
    for each in held:
        handle = getattr(each, "_ffi_handle", None)
        if handle is not None:
            handle.dispose()


def let_go_of_room(room: rtc.Room) -> None:
    """The same, of a room that is disconnected and of everybody in it."""
    local = room._local_participant
    for participant in [*room.remote_participants.values(), *([] if local is None else [local])]:
        for publication in participant.track_publications.values():
            let_go(publication.track, publication)
        let_go(participant)
    let_go(room)
    listening = getattr(room, "_task", None)
    if listening is not None:
        # It ends with the room's last event, which one that was let go of before its end never has.
        listening.cancel()
