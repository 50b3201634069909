"""Simulcast videos in the size that each participant wishes: C111 to C119.

Sizes are compared with room for a codec, which has layers of its own near a half and a quarter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ...errors import ErrorCode, InvalidInput, NotFound
from ...media.backend import LocalTrack
from ...media.events import TrackSubscribed, TrackUnsubscribed
from ...media.faults import Fault
from ...media.quality import VideoQuality
from ...model.permission import TrackSource
from .harness import LISTENER, Harness
from .peer import Listener, Peer
from .proof import proves, refused
from .signals import film
from .test_connection_faults import inject, reconnected
from .test_connection_lifecycle import pair

WIDTH, HEIGHT = 1_280, 720
"""Large enough for a quarter of it to be worth a layer on any backend."""
CAMERA = TrackSource.CAMERA
SHARE = {VideoQuality.LOW: (0.15, 0.35), VideoQuality.MEDIUM: (0.4, 0.65), VideoQuality.HIGH: (0.9, 1.0)}
"""Least and most of each published side that counts as this quality."""

STEADY = 3
"""Pictures one after the other that show that a size is not one of transition."""


@proves("C111")
async def test_without_a_wish_the_size_is_the_published_one(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    async with showing(harness, ann):
        await comes_in(harness, await bob.listens(ann, CAMERA), VideoQuality.HIGH)


@proves("C112")
@pytest.mark.parametrize("quality", list(VideoQuality))
async def test_a_wished_quality_has_its_size(harness: Harness, quality: VideoQuality) -> None:
    _, ann, bob = await pair(harness)
    async with showing(harness, ann) as track:
        await bob.sees(ann, CAMERA)
        await harness.within(bob.connection.set_quality(track.info.id, quality))
        listener = await bob.listens(ann, CAMERA)
        await comes_in(harness, listener, quality)
    for frame in listener.video:
        assert abs(frame.width / frame.height - WIDTH / HEIGHT) < 0.05, "a smaller picture shows all of the large one"


@proves("C113")
async def test_a_wish_is_changed_while_the_video_is_read(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    async with showing(harness, ann) as track:
        listener = await bob.listens(ann, CAMERA)
        for quality in (VideoQuality.LOW, VideoQuality.HIGH, VideoQuality.MEDIUM, VideoQuality.HIGH):
            await harness.within(bob.connection.set_quality(track.info.id, quality))
            await comes_in(harness, listener, quality)
    times = [frame.timestamp_us for frame in listener.video]
    assert times == sorted(times), "pictures of one size overtook those of another"


@proves("C114")
async def test_a_wish_is_one_participant_s_own(harness: Harness) -> None:
    room, ann, bob = await pair(harness)
    cid = await harness.join(room, "cid", LISTENER)
    async with showing(harness, ann) as track:
        small, large = await bob.listens(ann, CAMERA), await cid.listens(ann, CAMERA)
        await comes_in(harness, large, VideoQuality.HIGH)
        await harness.within(bob.connection.set_quality(track.info.id, VideoQuality.LOW))
        await comes_in(harness, small, VideoQuality.LOW)
        await comes_in(harness, large, VideoQuality.HIGH)


@proves("C115")
async def test_a_wish_outlasts_a_new_subscription(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    async with showing(harness, ann) as track:
        await bob.expect(TrackSubscribed, track=track.info.id)
        await harness.within(bob.connection.set_quality(track.info.id, VideoQuality.LOW))
        await harness.within(bob.connection.set_subscribed(track.info.id, False))
        await bob.expect(TrackUnsubscribed, track=track.info.id)
        await harness.within(bob.connection.set_subscribed(track.info.id, True))
        await bob.expect(TrackSubscribed, track=track.info.id, count=2)
        await comes_in(harness, await bob.listens(ann, CAMERA), VideoQuality.LOW)


@proves("C116")
@pytest.mark.parametrize("whose", ["reader", "publisher"])
async def test_a_wish_outlasts_a_full_reconnect(harness: Harness, whose: str) -> None:
    _, ann, bob = await pair(harness)
    outage = 2 * harness.quiet
    track = await publish(ann)
    track_id = track.info.id
    await bob.expect(TrackSubscribed, track=track_id)
    await harness.within(bob.connection.set_quality(track_id, VideoQuality.LOW))
    hit = bob if whose == "reader" else ann
    await inject(harness, Fault.FULL_RECONNECT, hit, seconds=outage)
    await reconnected(harness, hit, outage)
    await harness.settle()
    listener = await harness.eventually(lambda: bob.reading(track_id), what="the track back under its id")
    assert listener is not None
    async with harness.playing(track, film([100], width=WIDTH, height=HEIGHT)):
        await comes_in(harness, listener, VideoQuality.LOW)


@proves("C117")
async def test_without_simulcast_there_is_one_size(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    async with showing(harness, ann, simulcast=False) as track:
        listener = await bob.listens(ann, CAMERA)
        for quality in VideoQuality:
            await harness.within(bob.connection.set_quality(track.info.id, quality))
            await harness.settle()
            await comes_in(harness, listener, VideoQuality.HIGH)


@proves("C118")
async def test_a_wish_of_an_unknown_track_is_not_found(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    own = await ann.publish(CAMERA, simulcast=True)
    await bob.sees(ann, CAMERA)
    for peer, track_id in ((bob, "no-such-track"), (ann, own.info.id)):
        with refused(NotFound, ErrorCode.TRACK_NOT_FOUND):
            await harness.within(peer.connection.set_quality(track_id, VideoQuality.LOW))


@proves("C119")
async def test_a_wish_of_a_track_of_sound_is_invalid(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    voice = await ann.publish()
    await bob.sees(ann)
    with refused(InvalidInput):
        await harness.within(bob.connection.set_quality(voice.info.id, VideoQuality.LOW))


@asynccontextmanager
async def showing(harness: Harness, publisher: Peer, *, simulcast: bool = True) -> AsyncIterator[LocalTrack]:
    """A video is published, and pictures are written into it beside the test."""
    track = await publish(publisher, simulcast=simulcast)
    async with harness.playing(track, film([100], width=WIDTH, height=HEIGHT)):
        yield track


async def publish(publisher: Peer, *, simulcast: bool = True) -> LocalTrack:
    return await publisher.publish(CAMERA, simulcast=simulcast, width=WIDTH, height=HEIGHT)


async def comes_in(harness: Harness, listener: Listener, quality: VideoQuality) -> None:
    """Wait until the pictures that come from now on have the size of a quality, and stay with it."""
    least, most = SHARE[quality]
    start = len(listener.frames)

    def sized() -> bool:
        recent = listener.video[start:][-STEADY:]
        return len(recent) == STEADY and all(
            least <= side <= most for frame in recent for side in (frame.width / WIDTH, frame.height / HEIGHT)
        )

    try:
        await harness.eventually(sized)
    except AssertionError:
        seen = sorted({(frame.width, frame.height) for frame in listener.video[start:]})
        raise AssertionError(
            f"{WIDTH}x{HEIGHT} did not come in {quality}, {least} to {most} of each side; it came in {seen}"
        ) from None
