"""Who speaks: C121 to C129.

Each backend has its own idea of when speech begins and ends, and of how loud it is; none is slower than `patience`.
"""

from __future__ import annotations

import pytest

from ...media.backend import ConnectOptions
from ...media.events import SpeakersChanged
from ...media.sinks.level import FLOOR_DBFS
from ...model.permission import TrackSource
from .harness import LISTENER, Harness
from .peer import Peer
from .proof import proves
from .signals import tone
from .test_connection_lifecycle import gone, pair

VOICE = tone(440.0, seconds=0.2)
SOFT_VOICE = tone(440.0, seconds=0.2, amplitude=0.02)
HUM = tone(100.0, seconds=0.2, amplitude=0.0005)
SILENCE = tone(440.0, seconds=0.2, amplitude=0.0)
WORDS = VOICE + SILENCE[:5]
NO_SPEECH = 3 * HUM + VOICE[:1] + 6 * SILENCE
"""The hum of a machine, and one frame of sound in almost two seconds."""
AWHILE = 3.0
"""Seconds in which a backend would have noticed speech."""


def speakers(peer: Peer) -> list[str] | None:
    """Who speaks, as the peer was told last; None before the first word."""
    told = peer.told(SpeakersChanged)
    return [speaker.identity for speaker in told[-1].speakers] if told else None


async def hears(harness: Harness, peer: Peer, *identities: str) -> None:
    """Wait until exactly these speak, loudest first."""
    await harness.eventually(
        lambda: speakers(peer) == list(identities), what=f"{identities or 'nobody'} speaking, for {peer.identity}"
    )


@proves("C121")
async def test_who_begins_to_speak_is_told(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    async with harness.playing(track, VOICE):
        for peer in (bob, ann):
            await hears(harness, peer, "ann")
        for peer in (bob, ann):
            for event in peer.told(SpeakersChanged):
                for speaker in event.speakers:
                    assert FLOOR_DBFS < speaker.level <= 0, f"{speaker.level} dBFS is no level of somebody who speaks"


@proves("C122")
@pytest.mark.parametrize("how", ["stops", "mutes", "unpublishes"])
async def test_who_falls_silent_is_no_speaker(harness: Harness, how: str) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    async with harness.playing(track, VOICE):
        for peer in (bob, ann):
            await hears(harness, peer, "ann")
        if how == "mutes":
            await harness.within(track.set_muted(True))
        elif how == "unpublishes":
            await harness.within(track.unpublish())
        if how != "stops":
            await hears(harness, bob)
    for peer in (bob, ann):
        await hears(harness, peer)


@proves("C123")
async def test_a_breath_is_no_end(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    async with harness.playing(track, WORDS):
        await hears(harness, bob, "ann")
        before = len(bob.told(SpeakersChanged))
        await harness.pass_time(AWHILE)
        for event in bob.told(SpeakersChanged)[before:]:
            assert event.speakers, "a speaker took a breath and was none any more"


@proves("C124")
async def test_the_louder_one_is_first(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    loud, soft = await ann.publish(), await bob.publish()
    async with harness.playing(soft, SOFT_VOICE):
        await hears(harness, ann, "bob")
        async with harness.playing(loud, VOICE):
            for peer in (ann, bob):
                await hears(harness, peer, "ann", "bob")
            (first, second) = bob.told(SpeakersChanged)[-1].speakers
            assert first.level > second.level


@proves("C125")
async def test_what_is_no_speech_makes_no_speaker(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    async with harness.playing(track, NO_SPEECH):
        await harness.pass_time(1.5 * AWHILE)
    for peer in (ann, bob):
        assert not any(event.speakers for event in peer.told(SpeakersChanged))


@proves("C126")
async def test_who_joins_is_told_who_speaks(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    track = await ann.publish()
    async with harness.playing(track, VOICE):
        await hears(harness, ann, "ann")
        await hears(harness, await harness.join(room, "bob", LISTENER), "ann")


@proves("C127")
async def test_a_speaker_who_leaves_is_none(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    async with harness.playing(track, VOICE):
        await hears(harness, bob, "ann")
        await harness.within(ann.connection.aclose())
    await gone(bob, "ann")
    await hears(harness, bob)


@proves("C128")
async def test_the_sound_of_a_screen_is_no_speaker(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish(TrackSource.SCREEN_SHARE_AUDIO)
    listener = await bob.listens(ann, TrackSource.SCREEN_SHARE_AUDIO)
    async with harness.playing(track, VOICE):
        await listener.hears(440.0)
        await harness.pass_time(AWHILE)
    assert not any(event.speakers for peer in (ann, bob) for event in peer.told(SpeakersChanged))


@proves("C129")
async def test_who_reads_no_events_is_not_overrun(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    track = await ann.publish()
    capacity = 6
    bob = await harness.connect(await harness.ticket(room, "bob", LISTENER), ConnectOptions(event_capacity=capacity))
    changing = 3 * VOICE + 3 * SOFT_VOICE + 6 * SILENCE
    async with harness.playing(track, changing):
        await harness.eventually(lambda: len(ann.told(SpeakersChanged)) > capacity, timeout=6 * harness.patience)
    assert not bob.events.closed, f"events of speakers took {capacity} places"
    await hears(harness, harness.watch(bob))
