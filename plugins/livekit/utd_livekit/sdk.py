"""The few places where the Python SDK is taken further than its own face goes.

Its private parts are touched here and nowhere else; `tests/livekit/test_sdk.py` says when a new release moves them.
"""

from __future__ import annotations

import threading
from typing import Any

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2


class Room(rtc.Room):
    """A room that also knows who sent the data that is being handed out.

    The SDK looks the sender up among the participants it knows. Data may overtake the news of its sender, who would then
    look like the server itself.
    """

    data_sender: str = ""

    def _on_room_event(self, event: Any) -> None:
        if event.WhichOneof("message") == "data_packet_received":
            self.data_sender = event.data_packet_received.participant_identity
        super()._on_room_event(event)


def set_enabled(publication: rtc.RemoteTrackPublication, enabled: bool) -> None:
    """Whether the server sends a subscribed track; one that is not enabled costs nothing downstream."""
    request = ffi_pb2.FfiRequest()
    request.enable_remote_track_publication.track_publication_handle = publication._ffi_handle.handle
    request.enable_remote_track_publication.enabled = enabled
    FfiClient.instance.request(request)


_warm = threading.Lock()
_kept: list[object] = []
"""Holds the native library's threads, which it would end with the last room and start again with the next."""


def warm_up() -> None:
    """Load the native library and start its threads, which stay as long as the process. Blocks for a moment. Idempotent."""
    with _warm:
        if not _kept:
            picture = rtc.VideoSource(16, 16)
            _kept.extend((picture, rtc.LocalVideoTrack.create_video_track("kept", picture)))
