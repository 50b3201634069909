"""What aiortc counts of a track on the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiortc import RTCPeerConnection

from utd_core.media.backend import TrackStatistics, WireStatistics
from utd_core.media.events import TrackKind
from utd_core.model.permission import TrackSource

from .capabilities import SAMPLE_RATE, SOURCES
from .conversion import VIDEO_CLOCK


@dataclass(frozen=True, slots=True)
class WireFigures:
    """Of each source, one way and the other, while there is a way."""

    sent: Mapping[TrackSource, WireStatistics] = field(default_factory=dict)
    received: Mapping[TrackSource, WireStatistics] = field(default_factory=dict)


async def wire_figures(connection: RTCPeerConnection) -> WireFigures:
    """The counters of all sections that have carried something."""
    sent, received = {}, {}
    for source, transceiver in zip(SOURCES, connection.getTransceivers(), strict=True):
        clock = SAMPLE_RATE if TrackKind.of(source) is TrackKind.AUDIO else VIDEO_CLOCK
        going = {one.type: one for one in (await transceiver.sender.getStats()).values()}
        if (outbound := going.get("outbound-rtp")) is not None and outbound.packetsSent:
            sent[source] = _sent(outbound, going.get("remote-inbound-rtp"), clock)
        coming = [one for one in (await transceiver.receiver.getStats()).values() if one.type == "inbound-rtp"]
        if coming:
            received[source] = _received(coming[0], clock)
    return WireFigures(sent, received)


def with_wire(
    statistics: tuple[TrackStatistics, ...], figures: Mapping[TrackSource, WireStatistics]
) -> tuple[TrackStatistics, ...]:
    """The counters of tracks with what the network made of them."""
    return tuple(replace(one, wire=figures.get(one.track.source)) for one in statistics)


def _sent(outbound: Any, reported: Any, clock: int) -> WireStatistics:
    if reported is None:
        return WireStatistics(outbound.packetsSent, bytes=outbound.bytesSent)
    jitter = reported.jitter * 1_000 / clock
    return WireStatistics(outbound.packetsSent, max(0, reported.packetsLost), jitter, outbound.bytesSent)


def _received(inbound: Any, clock: int) -> WireStatistics:
    return WireStatistics(inbound.packetsReceived, max(0, inbound.packetsLost), inbound.jitter * 1_000 / clock)
