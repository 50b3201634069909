"""What the native library's own figures tell: of a connection, and of each track's packets."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from livekit import rtc

from utd_core.media.backend import WireStatistics

from .sdk import is_let_go

T = TypeVar("T")

_DEADLINE = 2.0
"""Seconds; while a connection is repaired the SDK may not answer."""


async def round_trip_ms(room: rtc.Room) -> float | None:
    """Milliseconds to the server and back, as the media's own path measured them last; None where nobody knows."""
    stats = await _in_time(room.get_rtc_stats())
    if stats is None:
        return None
    times = [
        entry.candidate_pair.candidate_pair.current_round_trip_time
        for entry in (*stats.publisher_stats, *stats.subscriber_stats)
        if entry.HasField("candidate_pair") and entry.candidate_pair.candidate_pair.nominated
    ]
    return min(times) * 1_000 if times else None


async def wires_of(tracks: Mapping[str, rtc.Track | None]) -> dict[str, WireStatistics | None]:
    """What the network made of each of these tracks; asked for at the same time."""
    found = await asyncio.gather(*(_wire_of(track) for track in tracks.values()))
    return dict(zip(tracks, found, strict=True))


async def _wire_of(track: rtc.Track | None) -> WireStatistics | None:
    """None where nobody knows, or nothing of it was on the network yet."""
    entries = None if track is None or is_let_go(track) else await _in_time(track.get_stats())
    if not entries:
        return None
    return _received(entries) or _sent(entries)


def _received(entries: Iterable[Any]) -> WireStatistics | None:
    found = [entry.inbound_rtp for entry in entries if entry.HasField("inbound_rtp")]
    if not found:
        return None
    return WireStatistics(
        sum(each.received.packets_received for each in found),
        sum(max(0, each.received.packets_lost) for each in found),
        max(each.received.jitter for each in found) * 1_000,
        sum(each.inbound.bytes_received for each in found),
    )


def _sent(entries: Iterable[Any]) -> WireStatistics | None:
    """Of all sizes of a simulcast video together; losses and jitter as the server tells them."""
    found = [entry.outbound_rtp.sent for entry in entries if entry.HasField("outbound_rtp")]
    if not found:
        return None
    told = [entry.remote_inbound_rtp.received for entry in entries if entry.HasField("remote_inbound_rtp")]
    return WireStatistics(
        sum(each.packets_sent for each in found),
        sum(max(0, each.packets_lost) for each in told),
        max(each.jitter for each in told) * 1_000 if told else None,
        sum(each.bytes_sent for each in found),
    )


async def _in_time(asking: Coroutine[Any, Any, T]) -> T | None:
    task = asyncio.ensure_future(asking)
    try:
        await asyncio.wait((task,), timeout=_DEADLINE)
    finally:
        task.cancel()
    # Where it is gone meanwhile the SDK raises plain exceptions, of which nothing is to be learned.
    return task.result() if task.done() and not task.cancelled() and task.exception() is None else None
