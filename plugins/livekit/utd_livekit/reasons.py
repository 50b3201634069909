"""Why a connection ended, in LiveKit's words and ours. Both halves of LiveKit count the same."""

from __future__ import annotations

from collections.abc import Mapping

from livekit import rtc

from utd_core.media.events import DisconnectReason

_REASONS: Mapping[int, DisconnectReason] = {
    rtc.DisconnectReason.CLIENT_INITIATED: DisconnectReason.CLIENT_LEFT,
    rtc.DisconnectReason.DUPLICATE_IDENTITY: DisconnectReason.DUPLICATE_IDENTITY,
    rtc.DisconnectReason.SERVER_SHUTDOWN: DisconnectReason.SERVER_SHUTDOWN,
    rtc.DisconnectReason.PARTICIPANT_REMOVED: DisconnectReason.REMOVED,
    rtc.DisconnectReason.ROOM_DELETED: DisconnectReason.ROOM_CLOSED,
    rtc.DisconnectReason.ROOM_CLOSED: DisconnectReason.ROOM_CLOSED,
    rtc.DisconnectReason.STATE_MISMATCH: DisconnectReason.SIGNAL_LOST,
    rtc.DisconnectReason.JOIN_FAILURE: DisconnectReason.SIGNAL_LOST,
    rtc.DisconnectReason.SIGNAL_CLOSE: DisconnectReason.SIGNAL_LOST,
    rtc.DisconnectReason.CONNECTION_TIMEOUT: DisconnectReason.SIGNAL_LOST,
    rtc.DisconnectReason.MEDIA_FAILURE: DisconnectReason.SIGNAL_LOST,
    rtc.DisconnectReason.MIGRATION: DisconnectReason.SERVER_SHUTDOWN,
}


def reason_of(number: int | None) -> DisconnectReason:
    """Ours for LiveKit's; UNKNOWN for none, and for those that telephones have."""
    return DisconnectReason.UNKNOWN if number is None else _REASONS.get(number, DisconnectReason.UNKNOWN)
