"""How well participants are connected: C130 to C132."""

from __future__ import annotations

from itertools import pairwise

from ...media.events import ConnectionQuality, QualityChanged
from ...media.faults import Fault
from .harness import Harness
from .peer import Peer
from .proof import proves
from .signals import tone
from .test_connection_faults import inject
from .test_connection_lifecycle import pair

VOICE = tone(440.0, seconds=0.2)
RATED_WITHIN = 30.0
"""Seconds of media after which every backend has an opinion."""
FINE = (ConnectionQuality.EXCELLENT, ConnectionQuality.GOOD)


def quality(peer: Peer, identity: str) -> ConnectionQuality | None:
    """As the peer was told last; None before the first word."""
    told = peer.told(QualityChanged, identity=identity)
    return told[-1].quality if told else None


async def fine(harness: Harness, peer: Peer, identity: str) -> None:
    await harness.eventually(
        lambda: quality(peer, identity) in FINE, RATED_WITHIN, what=f"{identity} well connected, for {peer.identity}"
    )


@proves("C130")
async def test_it_is_told_how_well_a_publisher_is_connected(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    async with harness.playing(track, VOICE):
        await listener.hears(440.0)
        for peer in (ann, bob):
            await fine(harness, peer, "ann")


@proves("C131")
async def test_the_same_quality_is_not_told_twice(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    async with harness.playing(track, VOICE):
        await fine(harness, bob, "ann")
        await harness.pass_time(2 * harness.prompt)
    for peer in (ann, bob):
        for identity in ("ann", "bob"):
            told = [event.quality for event in peer.told(QualityChanged, identity=identity)]
            assert all(one is not other for one, other in pairwise(told)), f"{identity} was {told}"


@proves("C132")
async def test_a_worse_connection_is_told_and_a_better_one_again(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    async with harness.playing(track, VOICE):
        await fine(harness, bob, "ann")
        await inject(harness, Fault.PACKET_LOSS, ann, rate=0.5)
        await harness.eventually(lambda: quality(bob, "ann") not in FINE, RATED_WITHIN)
        await inject(harness, Fault.PACKET_LOSS, ann, rate=0.0)
        await fine(harness, bob, "ann")
