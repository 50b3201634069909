"""The real voice and a film in order, through Opus and VP8."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from utd_core.media.backend import LocalTrack
from utd_core.media.events import SpeakersChanged
from utd_core.media.frames import AudioFrame, Frame, VideoFrame
from utd_core.media.pump import pump_track
from utd_core.media.sources.file import FileAudioSource
from utd_core.testing.contract.signals import brightness, film, flat, loud_seconds, storyboard, tone
from utd_webrtc_p2p.opus import OpusEncoder

from .voice import VOICE, likeness
from .world import CAMERA, MICROPHONE, Stage, becomes, stage, until_closed

pytestmark = pytest.mark.heavy

LUMAS = (40, 80, 120, 160, 200)


async def speak(here: Stage, track: LocalTrack) -> None:
    await pump_track(await FileAudioSource.open(VOICE), track, here.backend.clock)


async def more_than(count: int, frames: Sequence[Frame]) -> None:
    await becomes(lambda: len(frames) > count, f"more than {count} frames")


async def test_both_hear_the_voice_of_the_other_at_the_same_time() -> None:
    async with stage() as here:
        people = await here.join("ann"), await here.join("bob")
        tracks = [await person.publish(MICROPHONE) for person in people]
        heard = [person.collect(await person.reads(track)) for person, track in zip(people, tracks[::-1], strict=True)]
        await asyncio.gather(*(speak(here, track) for track in tracks))
        for frames in heard:
            await more_than(150, frames)
            assert await likeness(frames) >= 0.8


async def test_how_loud_a_track_is_is_known_on_both_sides() -> None:
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        hums, rests = await ann.publish(MICROPHONE), await bob.publish(MICROPHONE)
        await bob.reads(hums)
        await ann.reads(rests)
        here.play(hums)
        told = await bob.expect(SpeakersChanged, lambda event: len(event.speakers) == 1)
        assert told.speakers[0].identity == "ann"
        assert -14.0 < told.speakers[0].level < -8.0, "a sine of 0.4"
        figures = await bob.connection.statistics()
        (heard,) = figures.received
        assert heard.level is not None
        assert -14.0 < heard.level < -8.0
        assert [one.level for one in figures.sent] == [-120.0]


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
async def test_a_voice_of_another_rate_is_resampled(rate: int) -> None:
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        track = await ann.publish(MICROPHONE, sample_rate=rate)
        frames = bob.collect(await bob.reads(track))
        source = await FileAudioSource.open(VOICE, sample_rate=rate)
        await pump_track(source, track, here.backend.clock)
        await more_than(150, frames)
        assert {(frame.sample_rate, frame.channels) for frame in frames if isinstance(frame, AudioFrame)} == {
            (48_000, 2)
        }
        assert await likeness(frames) >= 0.7


def test_each_piece_makes_one_packet_of_the_bitrate_that_was_asked_for() -> None:
    for channels, bitrate in ((1, None), (2, None), (1, 24_000)):
        encoder = OpusEncoder(channels, bitrate)
        sound = tone(*[440.0] * channels, seconds=1.0)
        sizes = [len(bytes(encoder.encode(frame.data, number * 960))) for number, frame in enumerate(sound)]
        assert all(sizes)
        assert sum(sizes) * 8 == pytest.approx(bitrate or {1: 48_000, 2: 96_000}[channels], rel=0.5)


async def test_a_track_of_other_channels_goes_on_in_the_same_section() -> None:
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        for channels in (1, 2, 1):
            track = await ann.publish(MICROPHONE, channels=channels)
            heard = bob.collect(await bob.reads(track))
            sound = tone(*[440.0] * channels, seconds=0.02)[0]
            while len(heard) < 10:
                await track.write(sound)
                await here.backend.clock.sleep(0.02)
            assert loud_seconds([frame for frame in heard if isinstance(frame, AudioFrame)]) > 0
        assert ann.connection.native.live_generation == 1


async def test_a_film_arrives_in_order_and_nearly_whole() -> None:
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        track = await ann.publish(CAMERA, width=320, height=240)
        seen = bob.collect(await bob.reads(track))
        clock = here.backend.clock
        pictures = film(LUMAS, seconds_each=0.6, rate=15.0, width=320, height=240)
        warm_up = clock.monotonic()
        while not seen:
            await track.write(flat(20, 320, 240, round((clock.monotonic() - warm_up) * 1_000_000)))
            await clock.sleep(1 / 15)
        before, begin = len(seen), clock.monotonic()
        for number, picture in enumerate(pictures):
            await clock.sleep(begin + number / 15 - clock.monotonic())
            at = round((clock.monotonic() - warm_up) * 1_000_000)
            await track.write(VideoFrame(picture.data, 320, 240, timestamp_us=at))
        await becomes(lambda: len(seen) - before >= 0.95 * len(pictures), "the film")
        shown = [frame for frame in seen[before:] if isinstance(frame, VideoFrame)]
        assert storyboard(shown, (20, *LUMAS))[-len(LUMAS) :] == list(LUMAS)
        assert {(frame.width, frame.height) for frame in shown} == {(320, 240)}


async def test_video_comes_and_goes_in_a_call_without_touching_the_voice() -> None:
    async with stage() as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        voice = await ann.publish(MICROPHONE)
        here.play(voice)
        heard = bob.collect(await bob.reads(voice))
        generation = ann.connection.native.live_generation
        for _ in range(2):
            camera = await ann.publish(CAMERA, width=160, height=120)
            seen = bob.collect(await bob.reads(camera))
            here.scope.start(until_closed, lambda camera=camera: show(here, camera))
            await more_than(3, seen)
            assert brightness(next(one for one in seen if isinstance(one, VideoFrame))) == pytest.approx(100, abs=20)
            await camera.unpublish()
        before = len(heard)
        await more_than(before + 20, heard)
        assert ann.connection.native.live_generation == generation
        assert loud_seconds([frame for frame in heard[-50:] if isinstance(frame, AudioFrame)]) > 0.5


async def show(here: Stage, camera: LocalTrack) -> None:
    number = 0
    while True:
        await camera.write(flat(100, timestamp_us=number * 66_667))
        number += 1
        await here.backend.clock.sleep(1 / 15)
