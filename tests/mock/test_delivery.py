"""Frames and data on their way: the hot path, mute, adaptive stream, and the network's knobs."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.concurrency import Overflow
from utd_core.errors import Closed, Forbidden, InvalidFrame, InvalidInput, TooLarge
from utd_core.media.backend import ConnectOptions, PublishOptions
from utd_core.media.events import DataReceived, TrackMuted, TrackPublished, TrackSubscribed, TrackUnmuted
from utd_core.media.frames import AudioFrame
from utd_core.model.permission import Grant, TrackSource

from .stage import AUDIO, CAMERA, MICROPHONE, ROOM, VIDEO, of, picture, seen, sound, stage, waiting_in


async def test_without_latency_the_same_frame_object_is_with_every_reader_when_write_returns() -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        cid = await it.join("cid")
        readers = [bob.read(track.info.id), bob.read(track.info.id), cid.read(track.info.id)]
        frame = sound(5)
        await track.write(frame)
        for reader in readers:
            (received,) = await waiting_in(reader)
            assert received is frame


async def test_writing_starts_no_task_and_never_suspends() -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        bob.read(track.info.id)
        tasks = asyncio.all_tasks()
        write = track.write(sound())
        with pytest.raises(StopIteration):
            write.send(None)
        assert asyncio.all_tasks() == tasks


async def test_a_reader_begins_with_the_frames_after_it() -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        await track.write(sound(1))
        reader = bob.read(track.info.id)
        await track.write(sound(2))
        assert await waiting_in(reader) == [sound(2)]


@pytest.mark.parametrize(
    ("overflow", "kept"), [(Overflow.DROP_OLDEST, [2, 3]), (Overflow.DROP_NEWEST, [0, 1])], ids=str
)
async def test_a_slow_reader_loses_by_its_policy_and_counts(overflow: Overflow, kept: list[int]) -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        reader = bob.read(track.info.id, capacity=2, overflow=overflow)
        for number in range(4):
            await track.write(sound(number))
        assert reader.statistics().dropped == 2
        assert await waiting_in(reader) == [sound(number) for number in kept]


async def test_frames_written_while_muted_are_dropped_and_counted() -> None:
    async with stage() as it:
        ann, bob, track = await it.pair()
        reader = bob.read(track.info.id)
        await track.set_muted(True)
        await track.write(sound(1))
        await track.set_muted(False)
        await track.write(sound(2))
        assert await waiting_in(reader) == [sound(2)]
        (sent,) = (await ann.statistics()).sent
        assert (sent.frames, sent.bytes, sent.dropped) == (1, 1_920, 1)
        events = seen(bob)
        assert [(event.identity, event.by_server) for event in of(TrackMuted, events)] == [("ann", False)]
        assert len(of(TrackUnmuted, events)) == 1
        assert of(TrackMuted, seen(ann)) == [], "the publisher knows what it did itself"


async def test_a_server_mute_reaches_the_publisher_too_and_the_last_word_counts() -> None:
    async with stage() as it:
        ann, bob, track = await it.pair()
        seen(ann), seen(bob)
        await it.control.mute_track(ROOM, "ann", track.info.id)
        await it.control.mute_track(ROOM, "ann", track.info.id)
        assert seen(ann) == seen(bob) == [TrackMuted("ann", track.info, by_server=True)]
        assert [info.muted for info in (track.info, *bob.participants["ann"].tracks)] == [True, True]
        await track.set_muted(False)
        assert [info.muted for info in (track.info, *bob.participants["ann"].tracks)] == [False, False]
        assert seen(bob) == [TrackUnmuted("ann", track.info)]


@pytest.mark.parametrize(
    "wrong",
    [AudioFrame(bytes(960), 24_000), AudioFrame(bytes(3_840), 48_000, 2), picture(), "frame", None],
    ids=["rate", "channels", "kind", "string", "none"],
)
async def test_a_wrong_frame_is_refused_and_the_track_goes_on(wrong: object) -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        reader = bob.read(track.info.id)
        with pytest.raises(InvalidFrame, match="takes audio of 48000 Hz"):
            await track.write(wrong)  # type: ignore[arg-type]
        await track.write(sound())
        assert len(await waiting_in(reader)) == 1


async def test_a_picture_of_another_size_is_refused() -> None:
    async with stage() as it:
        ann = await it.join("ann")
        track = await it.publish(ann, PublishOptions(CAMERA, width=32, height=32))
        with pytest.raises(InvalidFrame, match="32x32, got video of 16x16"):
            await track.write(picture())
        with pytest.raises(InvalidFrame, match="got audio"):
            await track.write(sound())


@pytest.mark.parametrize(
    "options",
    [
        "microphone",
        PublishOptions("microphone"),  # type: ignore[arg-type]
        PublishOptions(MICROPHONE, sample_rate=11_025),
        PublishOptions(MICROPHONE, channels=3),
        PublishOptions(CAMERA, width=0),
        PublishOptions(CAMERA, height=10_000),
    ],
    ids=str,
)
async def test_bad_publish_options_are_refused(options: object) -> None:
    async with stage() as it:
        ann = await it.join("ann")
        with pytest.raises(InvalidInput):
            await ann.publish(options)  # type: ignore[arg-type]
        assert it.server.rooms[ROOM].participants["ann"].tracks == ()


async def test_a_reader_of_no_capacity_is_refused() -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        with pytest.raises(InvalidInput, match="capacity"):
            bob.read(track.info.id, capacity=0)


async def test_a_video_nobody_reads_is_withheld_and_counted() -> None:
    async with stage() as it:
        _, bob, track = await it.pair(VIDEO)

        def delivered_and_withheld() -> tuple[int, int]:
            subscription = it.server.rooms[ROOM].participants["bob"].subscriptions[track.info.id]
            return subscription.delivered, subscription.withheld

        await track.write(picture(0))
        assert delivered_and_withheld() == (0, 1)
        reader = bob.read(track.info.id)
        await track.write(picture(1))
        assert delivered_and_withheld() == (1, 1)
        assert await waiting_in(reader) == [picture(1)]
        await reader.aclose()
        await track.write(picture(2))
        assert delivered_and_withheld() == (1, 2)


async def test_without_adaptive_stream_and_for_sound_everything_is_delivered() -> None:
    async with stage() as it:
        ann = await it.join("ann")
        await it.join("bob", options=ConnectOptions(adaptive_stream=False))
        await it.join("cid")
        face, voice = await it.publish(ann, VIDEO), await it.publish(ann, AUDIO)
        await face.write(picture())
        await voice.write(sound())
        room = it.server.rooms[ROOM]
        assert room.participants["bob"].subscriptions[face.info.id].delivered == 1
        assert room.participants["cid"].subscriptions[face.info.id].delivered == 0
        assert room.participants["cid"].subscriptions[voice.info.id].delivered == 1


async def test_without_auto_subscribe_tracks_come_one_by_one() -> None:
    async with stage() as it:
        ann = await it.join("ann")
        voice, face = await it.publish(ann), await it.publish(ann, VIDEO)
        bob = await it.join("bob", options=ConnectOptions(auto_subscribe=False))
        assert {track.id for track in bob.participants["ann"].tracks} == {voice.info.id, face.info.id}
        await bob.set_subscribed(voice.info.id, True)
        assert set(it.server.rooms[ROOM].participants["bob"].subscriptions) == {voice.info.id}


async def test_layers_of_a_simulcast_track_are_in_the_snapshot() -> None:
    async with stage() as it:
        ann = await it.join("ann")
        await it.publish(ann, PublishOptions(CAMERA, width=640, height=360, simulcast=True))
        await it.publish(ann, PublishOptions(TrackSource.SCREEN_SHARE, width=640, height=360))
        camera, screen = it.server.rooms[ROOM].participants["ann"].tracks
        assert [(layer.width, layer.height) for layer in camera.layers] == [(640, 360), (320, 180), (160, 90)]
        assert [(layer.width, layer.height) for layer in screen.layers] == [(640, 360)]


async def test_readers_end_with_what_they_hold_when_the_track_ends() -> None:
    async with stage() as it:
        _, bob, track = await it.pair()
        reader = bob.read(track.info.id)
        await track.write(sound(1))
        await track.unpublish()
        assert [frame async for frame in reader] == [sound(1)]
        with pytest.raises(Closed):
            await track.write(sound(2))


async def test_data_goes_to_the_others_or_to_those_named() -> None:
    async with stage() as it:
        ann, bob, cid = [await it.join(identity) for identity in ("ann", "bob", "cid")]
        for connection in (ann, bob, cid):
            seen(connection)
        await ann.send_data(b"all", topic="chat")
        await ann.send_data(b"some", to=["cid", "ann", "nobody"], reliable=False)
        assert seen(ann) == []
        assert seen(bob) == [DataReceived(b"all", "ann", "chat")]
        assert seen(cid) == [DataReceived(b"all", "ann", "chat"), DataReceived(b"some", "ann", "", reliable=False)]
        await it.control.send_data(ROOM, b"server", to=["bob"])
        assert seen(bob) == [DataReceived(b"server", None)]
        assert (await ann.statistics()).data_sent == 2
        assert (await cid.statistics()).data_received == 2


async def test_bad_data_is_refused_and_reaches_nobody() -> None:
    async with stage() as it:
        ann, bob = await it.join("ann"), await it.join("bob", Grant(publish_data=False))
        seen(ann), seen(bob)
        with pytest.raises(TooLarge):
            await ann.send_data(bytes(15_001))
        with pytest.raises(InvalidInput, match="must be bytes"):
            await ann.send_data("text")  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=r"write \['bob'\]"):
            await ann.send_data(b"x", to="bob")
        with pytest.raises(InvalidInput, match="topic"):
            await ann.send_data(b"x", topic=None)  # type: ignore[arg-type]
        with pytest.raises(Forbidden):
            await bob.send_data(b"x")
        with pytest.raises(TooLarge):
            await it.control.send_data(ROOM, bytes(15_001))
        assert seen(ann) == seen(bob) == []
        await ann.send_data(bytes(15_000))
        assert len(seen(bob)) == 1


async def test_latency_delays_frames_data_and_events_alike_and_keeps_their_order() -> None:
    async with stage(latency_ms=100) as it:
        ann, bob = await it.join("ann"), await it.join("bob")
        await it.clock.advance(1.0)
        seen(bob)
        track = await it.publish(ann)
        await it.during(ann.send_data(b"now"))
        assert seen(bob) == []
        await it.clock.advance(0.099_999)
        assert seen(bob) == []
        await it.clock.advance(0.000_001)
        assert [type(event) for event in seen(bob)] == [TrackPublished, TrackSubscribed, DataReceived]
        reader = bob.read(track.info.id)
        begin = it.clock.monotonic()
        await track.write(sound(1))
        assert await waiting_in(reader) == []
        assert await it.during(anext(reader)) == sound(1)
        assert it.clock.monotonic() - begin == pytest.approx(0.1, abs=2e-6)
        assert (await bob.statistics()).round_trip_ms == pytest.approx(200)


async def losses(seed: int, others: int) -> list[int]:
    """Which of 200 frames reach bob, with `others` more listeners in the room."""
    async with stage(loss=0.3, seed=seed) as it:
        _, bob, track = await it.pair()
        for number in range(others):
            await it.join(f"other-{number}")
        reader = bob.read(track.info.id, capacity=1_000)
        for number in range(200):
            await track.write(sound(number))
        subscription = it.server.rooms[ROOM].participants["bob"].subscriptions[track.info.id]
        frames = await waiting_in(reader)
        assert subscription.delivered == len(frames) == 200 - subscription.lost
        return [frame.timestamp_us // 20_000 for frame in frames]


async def test_loss_is_repeated_by_its_seed_and_does_not_depend_on_the_other_listeners() -> None:
    alone, among_others, by_another_seed = await losses(1, 0), await losses(1, 3), await losses(2, 0)
    assert alone == among_others != by_another_seed
    assert 100 < len(alone) < 180


async def arrivals(seed: int) -> list[tuple[float, int]]:
    """When each of 50 frames, sent every 20 ms, reaches bob."""
    async with stage(latency_ms=20, jitter_ms=100, seed=seed) as it:
        _, bob, track = await it.pair()
        await it.clock.advance(1.0)
        reader = bob.read(track.info.id, capacity=100)
        arrived: list[tuple[float, int]] = []
        begin = it.clock.monotonic()

        async def collect() -> None:
            async for frame in reader:
                arrived.append((round(it.clock.monotonic() - begin, 6), frame.timestamp_us // 20_000))

        async with asyncio.TaskGroup() as group:
            task = group.create_task(collect())
            for number in range(50):
                await track.write(sound(number))
                await it.clock.advance(0.02)
            await it.clock.advance(1.0)
            task.cancel()
        return arrived


async def test_jitter_is_repeated_by_its_seed_keeps_the_order_and_its_bounds() -> None:
    first, again, other = await arrivals(1), await arrivals(1), await arrivals(2)
    assert first == again != other
    assert [number for _, number in first] == list(range(50))
    assert all(0.02 <= when - 0.02 * number <= 0.12 + 1e-6 for when, number in first)


async def test_lossy_data_is_lost_and_reliable_data_is_not() -> None:
    async with stage(loss=1.0) as it:
        ann, bob = await it.join("ann"), await it.join("bob")
        seen(bob)
        await ann.send_data(b"lossy", reliable=False)
        await ann.send_data(b"reliable")
        assert [event.payload for event in of(DataReceived, seen(bob))] == [b"reliable"]
