"""What the SDK's own figures tell."""

from __future__ import annotations

import asyncio

from livekit import rtc

_DEADLINE = 2.0
"""Seconds; while a connection is repaired the SDK may not answer."""


async def round_trip_ms(room: rtc.Room) -> float | None:
    """Milliseconds to the server and back, as the media's own path measured them last; None where nobody knows."""
    try:
        async with asyncio.timeout(_DEADLINE):
            stats = await room.get_rtc_stats()
    except (RuntimeError, TimeoutError):
        return None
    times = [
        entry.candidate_pair.candidate_pair.current_round_trip_time
        for entry in (*stats.publisher_stats, *stats.subscriber_stats)
        if entry.HasField("candidate_pair") and entry.candidate_pair.candidate_pair.nominated
    ]
    return min(times) * 1_000 if times else None
