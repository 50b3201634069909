"""The few places where the Python SDK is taken further than its own face goes.

Its private parts are touched here and nowhere else; `tests/livekit/test_sdk.py` says when a new release moves them.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient, ffi_cb_fnc
from livekit.rtc._proto.audio_frame_pb2 import AUDIO_STREAM_NATIVE
from livekit.rtc._proto.ffi_pb2 import FfiEvent, FfiRequest, FfiResponse
from livekit.rtc._proto.video_frame_pb2 import VIDEO_STREAM_NATIVE
from livekit.rtc._utils import get_address

from .refusals import NoTickets

__all__ = [
    "FfiEvent",
    "FfiRequest",
    "audio_stream",
    "capture",
    "drop",
    "intercept",
    "is_let_go",
    "let_go",
    "let_go_of_room",
    "newest_ticket",
    "repeat_settings",
    "request",
    "set_enabled",
    "video_stream",
    "warm_up",
]

_LET_OUT = 0.1
"""Seconds without the interpreter's lock, for each thread that waits for it; a turn takes 5 ms at most."""

_FULL = 8_192
"""Pixels: more than any publisher sends."""

_loading = threading.Lock()
"""Two threads that load it would make two of what there may be one of."""

# What the native library says goes where the application sends its log, and without one not to the terminal.
logging.getLogger("livekit").addHandler(logging.NullHandler())
logging.getLogger("livekit").addFilter(NoTickets())


def set_enabled(publication: rtc.RemoteTrackPublication, enabled: bool) -> None:
    """Whether the server sends a subscribed track; one that is not enabled costs nothing downstream."""
    wanted = FfiRequest()
    wanted.enable_remote_track_publication.track_publication_handle = publication._ffi_handle.handle
    wanted.enable_remote_track_publication.enabled = enabled
    request(wanted)


def repeat_settings(publication: rtc.RemoteTrackPublication) -> None:
    """Tell the server once more whether it is to send a subscribed track, and in its full size."""
    wanted = FfiRequest()
    settings = wanted.update_remote_track_publication_dimension
    settings.track_publication_handle = publication._ffi_handle.handle
    # A size of 0 would be the smallest one.
    settings.width, settings.height = publication.width or _FULL, publication.height or _FULL
    request(wanted)


def request(wanted: FfiRequest) -> FfiResponse:
    """What the native library answers at once."""
    answer: FfiResponse = FfiClient.instance.request(wanted)
    return answer


def drop(handle: int) -> None:
    """Give back what the native library keeps under this number. From any thread."""
    FfiClient.instance._ffi_lib.livekit_ffi_drop_handle(handle)


def intercept(look: Callable[[FfiEvent], bool]) -> None:
    """From now on `look` sees each event of the native library first, in its thread; where it answers True, the event
    goes no further. It never raises."""
    queue: Any = FfiClient.instance.queue
    hand_on = queue.put

    def put(event: FfiEvent) -> None:
        if not look(event):
            hand_on(event)

    queue.put = put


def audio_stream(track: rtc.RemoteAudioTrack, sample_rate: int, channels: int, frame_ms: int) -> FfiRequest:
    """The request for a track's sound, decoded, in frames of this shape."""
    wanted = FfiRequest()
    stream = wanted.new_audio_stream
    stream.track_handle = track._ffi_handle.handle
    stream.type = AUDIO_STREAM_NATIVE
    stream.sample_rate, stream.num_channels, stream.frame_size_ms = sample_rate, channels, frame_ms
    # Without bound, as in the SDK: it hands each frame over as it comes, and the bound is where they wait.
    stream.queue_size_frames = 0
    return wanted


def video_stream(track: rtc.RemoteVideoTrack, queued: int) -> FfiRequest:
    """The request for a track's pictures, decoded, as I420 without padding. `queued`: those that may wait inside."""
    wanted = FfiRequest()
    stream = wanted.new_video_stream
    stream.track_handle = track._ffi_handle.handle
    stream.type = VIDEO_STREAM_NATIVE
    stream.format = rtc.VideoBufferType.I420
    stream.normalize_stride = True
    stream.queue_size_frames = queued
    return wanted


def capture(source: rtc.AudioSource, data: bytes, samples: int, number: int) -> None:
    """Hand over `samples` per channel, which stay where they are until the answer to `number` has come."""
    wanted = FfiRequest()
    captured = wanted.capture_audio_frame
    captured.source_handle = source._ffi_handle.handle
    captured.request_async_id = number
    buffer = captured.buffer
    buffer.data_ptr = get_address(data)
    buffer.sample_rate, buffer.num_channels = source.sample_rate, source.num_channels
    buffer.samples_per_channel = samples
    request(wanted)


def newest_ticket(room: rtc.Room) -> str:
    """The one that the server gave last, or that the room was entered with."""
    return room._token or ""


def warm_up() -> None:
    """Load the native library, which stays as long as the process. Blocks for a moment. Idempotent, from any thread.

    What is registered with `atexit` after this still finds the library at work in its turn.
    """
    with _loading:
        _load()


@cache
def _load() -> None:
    client = FfiClient.instance
    # After the SDK has registered its own end, so before it in its turn.
    atexit.register(_fall_silent, client)


def _fall_silent(client: FfiClient) -> None:
    """The process ends: from here on the native library tells its news to nobody.

    One of its threads that comes into Python while that is taken down is ended on the spot, and takes the process with
    it (SIGABRT, in one of three that connected and ended). So what it calls from now on is a function of the C library
    that takes the same arguments, looks and does nothing; and those who are in Python already are let out.
    """
    if client._pid != os.getpid() or FfiClient._ffi_disposed:
        return
    nothing = ctypes.cast(ctypes.CDLL(None).strnlen, ctypes.c_void_p).value or 0
    client._ffi_lib.livekit_ffi_initialize(ffi_cb_fnc(nothing), False, b"python", b"")
    time.sleep(_LET_OUT)


def let_go(*held: Any) -> None:
    """Give back what the native library keeps for these objects of the SDK, whoever still holds them here.

    It keeps threads, sockets and codecs for a track; the SDK gives them back when Python's collector comes by.
    """
    for each in held:
        handle = getattr(each, "_ffi_handle", None)
        if handle is not None:
            handle.dispose()


def is_let_go(held: Any) -> bool:
    """Whether the native library keeps nothing for it any more."""
    return bool(held._ffi_handle.disposed)


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
