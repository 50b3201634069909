"""The layers of a simulcast track on the mock: who gets which, and which are made at all."""

from __future__ import annotations

import itertools

import pytest

from utd_core.errors import Closed, InvalidInput, NotFound
from utd_core.media.backend import ConnectOptions, PublishOptions
from utd_core.media.convert import to_i420
from utd_core.media.faults import Fault
from utd_core.media.frames import PixelFormat, VideoFrame, frame_size
from utd_core.media.quality import VideoQuality
from utd_mock.layers import Layer

from .stage import AUDIO, CAMERA, ROOM, VIDEO, Stage, stage, waiting_in

LOW, MEDIUM, HIGH = VideoQuality.LOW, VideoQuality.MEDIUM, VideoQuality.HIGH
WIDE = PublishOptions(CAMERA, width=32, height=16, simulcast=True)


def wide(number: int = 0) -> VideoFrame:
    return VideoFrame(bytes([number]) * frame_size(32, 16, PixelFormat.I420), 32, 16, timestamp_us=number * 33_333)


def made(it: Stage) -> list[int]:
    """Frames made of each layer of ann's camera, largest first."""
    (track,) = it.server.rooms[ROOM].participants["ann"].tracks
    return [layer.frames for layer in track.layers]


async def sizes(reader: object) -> list[tuple[int, int]]:
    frames = await waiting_in(reader)  # type: ignore[arg-type]  # a frame reader
    return [(frame.width, frame.height) for frame in frames if isinstance(frame, VideoFrame)]


async def test_each_subscriber_gets_the_layer_it_wishes_from_the_next_frame_on() -> None:
    async with stage() as it:
        ann, bob, cid = [await it.join(identity) for identity in ("ann", "bob", "cid")]
        track = await it.publish(ann, WIDE)
        small, large = bob.read(track.info.id), cid.read(track.info.id)
        for number, quality in enumerate((LOW, MEDIUM, HIGH)):
            await bob.set_quality(track.info.id, quality)
            await track.write(wide(number))
        assert await sizes(small) == [(8, 4), (16, 8), (32, 16)]
        assert await sizes(large) == [(32, 16)] * 3


async def test_a_layer_is_made_once_for_all_who_receive_it() -> None:
    async with stage() as it:
        ann, *others = [await it.join(identity) for identity in ("ann", "bob", "cid", "dan")]
        track = await it.publish(ann, WIDE)
        for other in others:
            await other.set_quality(track.info.id, LOW)
        readers = [other.read(track.info.id) for other in others]
        await track.write(wide())
        first, *rest = [(await waiting_in(reader))[0] for reader in readers]
        assert all(frame is first for frame in rest)
        assert made(it) == [0, 0, 1]


async def test_a_layer_that_nobody_receives_is_not_made() -> None:
    async with stage() as it:
        _, bob, track = await it.pair(WIDE)
        await track.write(wide())
        assert made(it) == [0, 0, 0], "nobody reads"
        await bob.set_quality(track.info.id, MEDIUM)
        await track.write(wide())
        assert made(it) == [0, 0, 0], "a wish alone receives nothing"
        reader = bob.read(track.info.id)
        await track.write(wide())
        assert made(it) == [0, 1, 0]
        await bob.set_quality(track.info.id, HIGH)
        await track.write(wide())
        assert made(it) == [1, 1, 0]
        await reader.aclose()
        await track.write(wide())
        assert made(it) == [1, 1, 0]
        await bob.set_subscribed(track.info.id, False)
        await track.write(wide())
        assert made(it) == [1, 1, 0]
        subscriptions = it.server.rooms[ROOM].participants["bob"].subscriptions
        assert subscriptions == {}


async def test_without_dynacast_every_layer_is_made_for_every_frame() -> None:
    async with stage() as it:
        ann = await it.join("ann", options=ConnectOptions(dynacast=False))
        bob = await it.join("bob")
        track = await it.publish(ann, WIDE)
        await track.write(wide())
        await bob.set_quality(track.info.id, LOW)
        reader = bob.read(track.info.id)
        await track.write(wide())
        assert made(it) == [2, 2, 2]
        assert await sizes(reader) == [(8, 4)]
        await track.set_muted(True)
        await track.write(wide())
        assert made(it) == [2, 2, 2]


async def test_a_participant_that_cannot_be_reached_has_no_layer_made() -> None:
    async with stage() as it:
        _, bob, track = await it.pair(WIDE)
        reader = bob.read(track.info.id)
        await bob.set_quality(track.info.id, LOW)
        await it.inject(Fault.FULL_RECONNECT, "bob", seconds=1.0)
        await track.write(wide())
        subscription = it.server.rooms[ROOM].participants["bob"].subscriptions[track.info.id]
        assert (made(it), subscription.lost, subscription.quality) == ([0, 0, 0], 1, LOW)
        await it.clock.advance(1.0)
        await track.write(wide())
        assert await sizes(reader) == [(8, 4)]


async def test_a_wish_ends_with_its_track() -> None:
    async with stage() as it:
        ann, bob, track = await it.pair(WIDE)
        await bob.set_quality(track.info.id, LOW)
        again = await it.publish(ann, WIDE)
        assert it.there("bob").qualities == {}
        reader = bob.read(again.info.id)
        await again.write(wide())
        assert await sizes(reader) == [(32, 16)]


async def test_what_was_delivered_is_counted_in_the_size_that_was_sent() -> None:
    async with stage() as it:
        _, bob, track = await it.pair(WIDE)
        await bob.set_quality(track.info.id, MEDIUM)
        bob.read(track.info.id)
        await track.write(wide())
        (received,) = (await bob.statistics()).received
        assert (received.frames, received.bytes) == (1, frame_size(16, 8, PixelFormat.I420))


async def test_over_latency_frames_keep_their_order_across_a_change() -> None:
    async with stage(latency_ms=50) as it:
        ann, bob = await it.join("ann"), await it.join("bob")
        track = await it.publish(ann, WIDE)
        await it.clock.advance(0.1)
        reader = bob.read(track.info.id)
        for number, quality in enumerate((LOW, HIGH, MEDIUM)):
            await track.write(wide(2 * number))
            await it.during(bob.set_quality(track.info.id, quality))
            await track.write(wide(2 * number + 1))
        await it.clock.advance(1.0)
        frames = await waiting_in(reader)
        assert [frame.timestamp_us // 33_333 for frame in frames] == list(range(6))


async def test_bad_wishes_are_refused() -> None:
    async with stage() as it:
        ann, bob, voice = await it.pair(AUDIO)
        with pytest.raises(InvalidInput, match="is sound"):
            await bob.set_quality(voice.info.id, LOW)
        with pytest.raises(InvalidInput, match=r"VideoQuality\.LOW, MEDIUM or HIGH"):
            await bob.set_quality(voice.info.id, "low")  # type: ignore[arg-type]
        with pytest.raises(NotFound):
            await bob.set_quality("TR_none", LOW)
        face = await it.publish(ann, VIDEO)
        with pytest.raises(NotFound):
            await ann.set_quality(face.info.id, LOW)
        assert it.there("bob").qualities == {}
        await bob.aclose()
        with pytest.raises(Closed):
            await bob.set_quality(face.info.id, LOW)


@pytest.mark.parametrize(
    ("width", "height", "layers"),
    [
        (640, 360, [(640, 360), (320, 180), (160, 90)]),
        (36, 22, [(36, 22), (18, 10), (8, 4)]),
        (6, 6, [(6, 6), (2, 2)]),
        (2, 2, [(2, 2)]),
    ],
)
async def test_sides_stay_even_and_small_pictures_have_fewer_layers(
    width: int, height: int, layers: list[tuple[int, int]]
) -> None:
    async with stage() as it:
        _, bob, track = await it.pair(PublishOptions(CAMERA, width=width, height=height, simulcast=True))
        (snapshot,) = it.server.rooms[ROOM].participants["ann"].tracks
        assert [(layer.width, layer.height) for layer in snapshot.layers] == layers
        reader = bob.read(track.info.id)
        await bob.set_quality(track.info.id, LOW)
        await track.write(VideoFrame(bytes(frame_size(width, height, PixelFormat.I420)), width, height))
        assert await sizes(reader) == [layers[-1]]


def test_a_layer_shows_the_same_picture() -> None:
    colours = [(row * 40 % 256, column * 9 % 256, 77, 255) for row in range(6) for column in range(20)]
    picture = VideoFrame(bytes(itertools.chain(*colours)), 20, 6, PixelFormat.RGBA, 5)
    half = Layer(20, 6, 2).reduce(picture)
    kept = [(row * 40 % 256, column * 9 % 256, 77, 255) for row in (0, 2) for column in range(0, 20, 2)]
    assert half == VideoFrame(bytes(itertools.chain(*kept)), 10, 2, PixelFormat.RGBA, 5)


def test_a_layer_of_i420_takes_from_all_three_planes() -> None:
    colours = [(row * 30 % 256, column * 9 % 256, 200 - column * 5, 255) for row in range(8) for column in range(24)]
    picture = to_i420(VideoFrame(bytes(itertools.chain(*colours)), 24, 8, PixelFormat.RGBA, 5))
    half = Layer(24, 8, 2).reduce(picture)
    assert (half.width, half.height, half.timestamp_us) == (12, 4, 5)
    for plane, smaller, stride in zip(picture.planes, half.planes, (24, 12, 12), strict=True):
        rows = range(0, len(plane), 2 * stride)
        assert smaller.tobytes() == b"".join(plane[row : row + stride : 2].tobytes() for row in rows)
