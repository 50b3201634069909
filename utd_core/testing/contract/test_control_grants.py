"""Grants as whole sets: M20 to M34."""

from __future__ import annotations

import asyncio

from ...errors import Closed, ErrorCode, Forbidden, MediaError, NotFound, PublishRefused
from ...media.backend import PublishOptions
from ...media.events import (
    DataReceived,
    GrantChanged,
    LocalTrackEnded,
    TrackPublished,
    TrackSubscribed,
    TrackUnpublished,
    TrackUnsubscribed,
)
from ...media.faults import Fault
from ...model.permission import Grant, TrackSource
from .harness import EVERYTHING, LISTENER, SPEAKER, Harness
from .peer import Peer
from .proof import proves, refused
from .signals import tone

MICROPHONE, CAMERA = TrackSource.MICROPHONE, TrackSource.CAMERA
BOTH = Grant(publish=frozenset({MICROPHONE, CAMERA}))
HUM = tone(440.0, seconds=0.2)


async def two(harness: Harness, grant: Grant = SPEAKER) -> tuple[str, Peer, Peer]:
    """A room with ann, who holds `grant`, and bob, who listens."""
    room = await harness.room()
    return room, await harness.join(room, "ann", grant), await harness.join(room, "bob", LISTENER)


async def apply(harness: Harness, room: str, grant: Grant, who: str = "ann") -> None:
    await harness.within(harness.control.apply_grant(room, who, grant))


async def in_force(harness: Harness, peer: Peer, grant: Grant) -> None:
    await harness.eventually(lambda: peer.connection.grant == grant, what=f"the grant {grant} at {peer.identity}")


async def listed_grant(harness: Harness, room: str, identity: str) -> Grant:
    listed = await harness.within(harness.control.list_participants(room))
    return next(who.grant for who in listed if who.identity == identity)


@proves("M20")
async def test_a_grant_replaces_the_whole_one_before(harness: Harness) -> None:
    room, ann, _ = await two(harness, SPEAKER)
    camera_only = Grant(publish=frozenset({CAMERA}))
    await apply(harness, room, camera_only)
    await in_force(harness, ann, camera_only)
    with refused(PublishRefused):
        await ann.publish(MICROPHONE)
    await ann.publish(CAMERA)


@proves("M21")
async def test_a_promoted_participant_publishes_without_connecting_again(harness: Harness) -> None:
    room, ann, bob = await two(harness, LISTENER)
    await apply(harness, room, SPEAKER)
    assert (await ann.expect(GrantChanged, grant=SPEAKER)).grant == ann.connection.grant
    track = await ann.publish()
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        await listener.hears(440.0)


@proves("M22")
async def test_a_source_taken_away_is_unpublished_at_once(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    began = harness.clock.monotonic()
    await apply(harness, room, LISTENER)
    ended = await bob.expect(TrackUnpublished, identity="ann")
    assert harness.clock.monotonic() - began <= harness.prompt
    assert ended.track.id == track.info.id
    await ann.expect(LocalTrackEnded, track=track.info.id)
    await listener.end()
    assert bob.knows("ann") == ()
    assert (
        next(w.tracks for w in await harness.within(harness.control.list_participants(room)) if w.identity == "ann")
        == ()
    )
    with refused(Closed):
        await harness.within(track.write(HUM[0]))
    with refused(PublishRefused):
        await ann.publish()


@proves("M23")
async def test_the_sources_that_stay_granted_play_on(harness: Harness) -> None:
    room, ann, bob = await two(harness, BOTH)
    microphone, camera = await ann.publish(MICROPHONE), await ann.publish(CAMERA)
    listener = await bob.listens(ann)
    await bob.sees(ann, CAMERA)
    async with harness.playing(microphone, HUM):
        await listener.hears(440.0)
        await apply(harness, room, SPEAKER)
        await bob.expect(TrackUnpublished, track=camera.info.id)
        await listener.hears(440.0)
    assert not bob.told(TrackUnpublished, track=microphone.info.id)
    assert not ann.told(LocalTrackEnded, track=microphone.info.id)


@proves("M24")
async def test_the_same_grant_again_disturbs_no_track(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        for _ in range(3):
            await apply(harness, room, SPEAKER)
        await listener.hears(440.0)
    await harness.settle()
    assert not bob.told(TrackUnpublished)
    assert not bob.told(TrackUnsubscribed)
    assert not ann.told(LocalTrackEnded)
    assert len(bob.told(TrackPublished)) == 1


@proves("M25")
async def test_a_grant_for_somebody_absent_is_not_found(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    await harness.within(ann.connection.aclose())
    await harness.eventually(lambda: "ann" not in bob.connection.participants)
    for place, who in ((room, "nobody"), (room, "ann"), (harness.room_name("never-made"), "bob")):
        with refused(NotFound, ErrorCode.PARTICIPANT_NOT_FOUND):
            await apply(harness, place, SPEAKER, who)


@proves("M26")
async def test_without_subscribe_nothing_is_received_any_more(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        await listener.hears(440.0)
        await apply(harness, room, Grant(subscribe=False), "bob")
        await bob.expect(TrackUnsubscribed, track=track.info.id)
        await listener.end()
    with refused(NotFound, ErrorCode.TRACK_NOT_FOUND):
        bob.connection.read(track.info.id)


@proves("M27")
async def test_subscribe_given_back_brings_the_tracks_back(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    track = await ann.publish()
    await bob.sees(ann)
    await apply(harness, room, Grant(subscribe=False), "bob")
    await bob.expect(TrackUnsubscribed, identity="ann")
    await apply(harness, room, LISTENER, "bob")
    await bob.expect(TrackSubscribed, count=2, identity="ann")
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        await listener.hears(440.0)


@proves("M28")
async def test_without_publish_data_sending_is_forbidden(harness: Harness) -> None:
    room, ann, bob = await two(harness, EVERYTHING)
    await harness.within(ann.connection.send_data(b"before"))
    await bob.expect(DataReceived, payload=b"before")
    await apply(harness, room, Grant(publish_data=False))
    await in_force(harness, ann, Grant(publish_data=False))
    with refused(Forbidden):
        await harness.within(ann.connection.send_data(b"meanwhile"))
    await apply(harness, room, EVERYTHING)
    await in_force(harness, ann, EVERYTHING)
    await harness.within(ann.connection.send_data(b"after"))
    await bob.expect(DataReceived, payload=b"after")
    assert not bob.told(DataReceived, payload=b"meanwhile")


@proves("M29")
async def test_the_list_shows_the_grant_in_force(harness: Harness) -> None:
    room, _, _ = await two(harness, LISTENER)
    assert await listed_grant(harness, room, "ann") == LISTENER
    for grant in (SPEAKER, Grant(subscribe=False, publish_data=False)):
        await apply(harness, room, grant)

        async def shown(wanted: Grant = grant) -> bool:
            return await listed_grant(harness, room, "ann") == wanted

        await harness.eventually(shown, what=f"{grant} in the list")


@proves("M30")
async def test_a_grant_ends_with_its_connection(harness: Harness) -> None:
    room, ann, bob = await two(harness, LISTENER)
    await apply(harness, room, SPEAKER)
    await in_force(harness, ann, SPEAKER)
    await harness.within(ann.connection.aclose())
    await harness.eventually(lambda: "ann" not in bob.connection.participants)
    again = await harness.join(room, "ann", LISTENER)
    assert again.connection.grant == LISTENER
    with refused(PublishRefused):
        await again.publish()


@proves("M31")
async def test_the_last_of_several_grants_is_in_force(harness: Harness) -> None:
    room, ann, _ = await two(harness, LISTENER)
    for grant in (*(SPEAKER, LISTENER) * 5, SPEAKER):
        await apply(harness, room, grant)
    await harness.settle()
    await in_force(harness, ann, SPEAKER)
    assert await listed_grant(harness, room, "ann") == SPEAKER
    await ann.publish()
    await apply(harness, room, LISTENER)
    await harness.settle()
    await in_force(harness, ann, LISTENER)


@proves("M32")
async def test_a_publish_that_races_with_its_revocation_leaves_no_track(harness: Harness) -> None:
    room, ann, bob = await two(harness)
    for head_start in range(-3, 4):
        revoking = asyncio.ensure_future(harness.control.apply_grant(room, "ann", LISTENER))
        await turns(head_start)
        publishing = asyncio.ensure_future(ann.connection.publish(PublishOptions(MICROPHONE)))
        await turns(-head_start)
        await harness.within(revoking)
        (outcome,) = await harness.within(asyncio.gather(publishing, return_exceptions=True))
        if isinstance(outcome, BaseException):
            with refused(PublishRefused):
                raise outcome
        else:
            await ann.expect(LocalTrackEnded, track=outcome.info.id)

        async def no_track() -> bool:
            listed = await harness.control.list_participants(room)
            return not any(who.tracks for who in listed) and not bob.knows("ann")

        await harness.eventually(no_track, what="a room without tracks")
        await apply(harness, room, SPEAKER)
        await in_force(harness, ann, SPEAKER)


async def turns(count: int) -> None:
    """Let every other task take `count` steps."""
    for _ in range(count):
        await asyncio.sleep(0)


@proves("M33")
async def test_a_failed_grant_changes_nothing(harness: Harness) -> None:
    room, ann, _ = await two(harness, LISTENER)
    await harness.within(harness.backend.inject(Fault.GRANT_FAILURE, room, "ann", times=2))
    for _ in range(2):
        with refused(MediaError):
            await apply(harness, room, SPEAKER)
    await harness.settle()
    assert ann.connection.grant == LISTENER
    assert await listed_grant(harness, room, "ann") == LISTENER
    await apply(harness, room, SPEAKER)
    await in_force(harness, ann, SPEAKER)


@proves("M34")
async def test_a_delayed_grant_takes_effect_later(harness: Harness) -> None:
    room, ann, _ = await two(harness, LISTENER)
    delay = 4 * harness.quiet
    await harness.within(harness.backend.inject(Fault.GRANT_DELAY, room, "ann", seconds=delay))
    applying = asyncio.ensure_future(harness.control.apply_grant(room, "ann", SPEAKER))
    await harness.settle()
    assert ann.connection.grant == LISTENER
    with refused(PublishRefused):
        await ann.publish()
    await harness.within(applying, delay + harness.patience)
    await harness.eventually(lambda: ann.connection.grant == SPEAKER, delay + harness.patience)
    await ann.publish()
