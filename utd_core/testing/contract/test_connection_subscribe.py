"""Taking and refusing tracks: C38 to C45."""

from __future__ import annotations

from ...errors import ErrorCode, NotFound
from ...media.backend import ConnectOptions
from ...media.events import TrackSubscribed, TrackUnpublished, TrackUnsubscribed
from ...model.permission import Grant, TrackSource
from .harness import LISTENER, Harness
from .peer import Peer
from .proof import proves, refused
from .signals import film, tone
from .test_connection_lifecycle import pair

HUM = tone(440.0, seconds=0.2)
CAMERA = TrackSource.CAMERA


@proves("C38")
async def test_tracks_are_subscribed_unasked(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    subscribed = await bob.expect(TrackSubscribed)
    assert (subscribed.identity, subscribed.track.id) == ("ann", track.info.id)


@proves("C39")
async def test_without_auto_subscribe_a_track_is_received_only_when_asked_for(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    bob = await harness.join(room, "bob", options=ConnectOptions(auto_subscribe=False))
    track = await ann.publish()
    await bob.announced(ann)
    await harness.settle()
    assert not bob.told(TrackSubscribed)
    with refused(NotFound, ErrorCode.TRACK_NOT_FOUND):
        bob.connection.read(track.info.id)
    await harness.within(bob.connection.set_subscribed(track.info.id, True))
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        await listener.hears(440.0)


@proves("C40")
async def test_a_refused_track_ends_its_readers(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        await listener.hears(440.0)
        await harness.within(bob.connection.set_subscribed(track.info.id, False))
        await bob.expect(TrackUnsubscribed, identity="ann", track=track.info.id)
        await listener.end()
    with refused(NotFound, ErrorCode.TRACK_NOT_FOUND):
        bob.connection.read(track.info.id)
    assert [info.id for info in bob.knows("ann") or ()] == [track.info.id], "a refused track is still published"
    assert not bob.told(TrackUnpublished)


@proves("C41")
async def test_a_refused_track_can_be_taken_again(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    await bob.sees(ann)
    for round_number in range(1, 3):
        await harness.within(bob.connection.set_subscribed(track.info.id, False))
        await bob.expect(TrackUnsubscribed, count=round_number)
        await harness.within(bob.connection.set_subscribed(track.info.id, True))
        await bob.expect(TrackSubscribed, count=round_number + 1)
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        await listener.hears(440.0)


@proves("C42")
async def test_subscribing_to_an_unknown_track_is_not_found(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    for wanted in (True, False):
        with refused(NotFound, ErrorCode.TRACK_NOT_FOUND):
            await harness.within(ann.connection.set_subscribed("no-such-track", wanted))


@proves("C43")
async def test_reading_an_unknown_track_is_not_found(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    with refused(NotFound, ErrorCode.TRACK_NOT_FOUND):
        ann.connection.read("no-such-track")
    if harness.capabilities.audio:
        own = await ann.publish()
        with refused(NotFound, ErrorCode.TRACK_NOT_FOUND):
            ann.connection.read(own.info.id)


@proves("C44")
async def test_a_participant_without_subscribe_receives_no_media(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    deaf = await harness.join(room, "deaf", Grant(subscribe=False))
    track = await ann.publish()
    async with harness.playing(track, HUM):
        await harness.settle()
    assert not deaf.told(TrackSubscribed)
    with refused(NotFound, ErrorCode.TRACK_NOT_FOUND):
        deaf.connection.read(track.info.id)


@proves("C45")
async def test_a_video_that_nobody_reads_is_not_sent(harness: Harness) -> None:
    room = await harness.room()
    ann, bob = await harness.join(room, "ann"), await harness.join(room, "bob", LISTENER)
    track = await ann.publish(CAMERA)
    await bob.sees(ann, CAMERA)
    async with harness.playing(track, film([100])):
        await harness.settle()
        unread = await received(harness, bob, track.info.id)
        await harness.settle()
        assert await received(harness, bob, track.info.id) == unread, "frames came though nobody reads"
        listener = await bob.listens(ann, CAMERA)
        await harness.eventually(lambda: len(listener.frames) > 3)
        await harness.within(listener.reader.aclose())
        await harness.settle()
        unread = await received(harness, bob, track.info.id)
        await harness.settle()
        assert await received(harness, bob, track.info.id) == unread, "frames came though nobody reads any more"


async def received(harness: Harness, peer: Peer, track_id: str) -> int:
    statistics = await harness.within(peer.connection.statistics())
    return sum(track.frames for track in statistics.received if track.track.id == track_id)
