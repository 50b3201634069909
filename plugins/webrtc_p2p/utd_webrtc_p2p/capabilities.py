"""What WebRTC between two participants can do, as aiortc does it."""

from __future__ import annotations

from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import Fault
from utd_core.model.permission import TrackSource

MAX_PARTICIPANTS = 2
MAX_DATA_BYTES = 15_000
SAMPLE_RATE = 48_000
"""Hz; what Opus carries, and what a reader gets."""

SOURCES = (TrackSource.MICROPHONE, TrackSource.CAMERA, TrackSource.SCREEN_SHARE, TrackSource.SCREEN_SHARE_AUDIO)
"""The media sections of every session, in this order; the data channels come after them."""

CAPABILITIES = Capabilities(
    max_participants=MAX_PARTICIPANTS,
    max_data_bytes=MAX_DATA_BYTES,
    sample_rates=frozenset({SAMPLE_RATE}),
    simulcast=False,
    exact_media=False,
    active_speakers=True,
    connection_quality=True,
    profiles=True,
    signalling=True,
    virtual_time=False,
)

FAULTS = frozenset(
    {
        Fault.SIGNAL_DROP,
        Fault.FULL_RECONNECT,
        Fault.SERVER_LEAVE,
        Fault.DUPLICATE_IDENTITY,
        Fault.TOKEN_EXPIRY,
        Fault.CONNECT_SILENCE,
        Fault.GRANT_DELAY,
        Fault.GRANT_FAILURE,
    }
)
