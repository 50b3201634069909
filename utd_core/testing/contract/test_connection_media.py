"""What media looks like when it arrives: C46 to C57."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ...media.events import TrackSubscribed
from ...media.frames import AudioFrame, Frame, VideoFrame
from ...model.permission import TrackSource
from . import signals
from .harness import Harness
from .peer import Listener
from .proof import proves
from .signals import film, tone, tune
from .test_connection_lifecycle import pair

NOTES = (400.0, 1_000.0, 2_500.0)
GREYS = (50, 120, 200)
LEAD_SECONDS = 0.4
"""Sound played first, so that what is measured does not fall into the start of a codec or a jitter buffer."""
SMALLEST_SHARE = 0.6
"""Part of what was sent that must arrive where a network is between."""


async def carried(
    harness: Harness, lead: Sequence[AudioFrame], sound: Sequence[AudioFrame], *, channels: int = 1
) -> tuple[list[AudioFrame], Listener]:
    """Play the lead, then the sound, then wait for it; what was heard since the lead was first heard."""
    _, ann, bob = await pair(harness)
    track = await ann.publish(channels=channels)
    listener = await bob.listens(ann)
    position = await harness.play(track, lead)
    await harness.eventually(lambda: signals.loud_seconds(listener.audio) > 0, what="the first sound")
    await harness.play(track, sound, start_us=position)
    await arrived(harness, listener)
    return listener.audio, listener


async def arrived(harness: Harness, listener: Listener) -> None:
    """Wait until nothing more comes."""
    count = -1
    while count != len(listener.frames):
        count = len(listener.frames)
        await harness.settle()


async def seen(harness: Harness, pictures: Sequence[VideoFrame], source: TrackSource = TrackSource.CAMERA) -> Listener:
    """Show the pictures and wait for them; the first one is held until it was seen."""
    _, ann, bob = await pair(harness)
    track = await ann.publish(source, width=pictures[0].width, height=pictures[0].height)
    listener = await bob.listens(ann, source)
    position = 0
    if not harness.capabilities.exact_media:
        async with harness.playing(track, pictures[:1]) as player:
            await harness.eventually(lambda: listener.frames, what="the first picture")
        position = player.position_us
    await harness.play(track, pictures, start_us=position)
    await arrived(harness, listener)
    return listener


@proves("C46")
async def test_sound_arrives_with_its_pitch(harness: Harness) -> None:
    lead = tone(440.0, seconds=LEAD_SECONDS)
    heard, _ = await carried(harness, lead, lead)
    # Where a busy machine writes late, the receiver fills the hole with what came before, not quite at its pitch. Over
    # WebRTC 0.9 is left of a tone written on time, 0.7 with holes of 60 ms after every 200 ms of it, 0.65 with 120 ms.
    assert signals.pitch_share(heard, 440.0) > 0.6
    assert signals.pitch_share(heard, 1_000.0) < 0.1


@proves("C47")
async def test_sound_arrives_in_order(harness: Harness) -> None:
    heard, _ = await carried(harness, tone(NOTES[0], seconds=LEAD_SECONDS), tune(NOTES, seconds_each=LEAD_SECONDS))
    assert signals.melody(heard, NOTES) == list(NOTES)


@proves("C48")
async def test_as_much_sound_arrives_as_was_written(harness: Harness) -> None:
    sound = tone(440.0, seconds=2 * LEAD_SECONDS)
    heard, _ = await carried(harness, tone(440.0, seconds=LEAD_SECONDS), sound)
    written = 3 * LEAD_SECONDS
    # What fills those holes is loud as well: 1.1 times as much is heard of a tone written on time, 1.3 with holes of
    # 60 ms after every 200 ms of it, 1.55 with 120 ms. Twice as much is an echo.
    assert SMALLEST_SHARE * written <= signals.loud_seconds(heard) <= written * 1.6


@proves("C49")
async def test_audio_timestamps_follow_each_other(harness: Harness) -> None:
    lead = tone(440.0, seconds=LEAD_SECONDS)
    heard, _ = await carried(harness, lead, lead)
    assert len(heard) > 3
    for before, frame in pairwise(heard):
        step = frame.timestamp_us - before.timestamp_us
        assert step > 0, f"timestamps go from {before.timestamp_us} to {frame.timestamp_us} us"
        if harness.capabilities.exact_media:
            assert step == before.duration_us
    spanned = heard[-1].timestamp_us - heard[0].timestamp_us
    lasting = round(1_000_000 * signals.seconds_of(heard[:-1]))
    assert 0.7 * lasting <= spanned <= 1.5 * lasting, f"{lasting} us of sound span {spanned} us of timestamps"


@proves("C50")
async def test_audio_frames_have_one_shape(harness: Harness) -> None:
    lead = tone(440.0, seconds=LEAD_SECONDS)
    heard, _ = await carried(harness, lead, lead)
    assert len({(frame.sample_rate, frame.channels) for frame in heard}) == 1
    for frame in heard:
        assert 2_500 <= frame.duration_us <= 120_000


@proves("C51")
async def test_every_declared_rate_is_carried_with_its_pitch(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    for rate in sorted(harness.capabilities.sample_rates):
        track = await ann.publish(sample_rate=rate)
        await bob.expect(TrackSubscribed, track=track.info.id)
        listener = harness.listen(bob.connection.read(track.info.id))
        async with harness.playing(track, tone(440.0, seconds=0.2, sample_rate=rate)):
            await listener.hears(440.0)
        await harness.within(track.unpublish())
        await listener.end()


@proves("C52")
async def test_both_channels_of_stereo_are_carried(harness: Harness) -> None:
    left, right = 500.0, 1_100.0
    sound = tone(left, right, seconds=LEAD_SECONDS)
    heard, _ = await carried(harness, sound, sound, channels=2)
    assert signals.pitch_share(heard, left) > 0.3
    assert signals.pitch_share(heard, right) > 0.3


@proves("C53")
async def test_pictures_arrive_with_their_size(harness: Harness) -> None:
    listener = await seen(harness, film([120], width=320, height=180))
    assert (listener.video[-1].width, listener.video[-1].height) == (320, 180)


@proves("C54")
async def test_pictures_arrive_with_their_brightness_in_order(harness: Harness) -> None:
    listener = await seen(harness, film(GREYS, seconds_each=0.5))
    assert signals.storyboard(listener.video, GREYS) == list(GREYS)


@proves("C55")
async def test_picture_timestamps_grow_at_the_pace_of_writing(harness: Harness) -> None:
    seconds = 1.0
    listener = await seen(harness, film([120], seconds_each=seconds, rate=30.0))
    stamps = [frame.timestamp_us for frame in listener.video]
    assert len(stamps) > 3
    assert all(before < after for before, after in pairwise(stamps))
    # The first picture may have been held for a while before the film began.
    film_stamps = stamps[-round(seconds * 30 * SMALLEST_SHARE) :]
    pace = (film_stamps[-1] - film_stamps[0]) / (len(film_stamps) - 1)
    assert 0.5 * 33_333 <= pace <= 2 * 33_333, f"a picture every {pace} us"


async def exact(harness: Harness, source: TrackSource, frames: Sequence[Frame]) -> None:
    """Every frame arrives as it was written."""
    _, ann, bob = await pair(harness)
    track = await ann.publish(source)
    listener = await bob.listens(ann, source)
    await harness.play(track, frames)
    await harness.eventually(lambda: len(listener.frames) >= len(frames))
    assert len(listener.frames) == len(frames)
    # One by one: a comparison of whole films explains itself for minutes, and to nobody.
    changed = [
        number for number, (heard, sent) in enumerate(zip(listener.frames, frames, strict=True)) if heard != sent
    ]
    assert not changed, f"frames {changed} were changed on the way"


@proves("C56")
async def test_sound_arrives_bit_for_bit(harness: Harness) -> None:
    await exact(harness, TrackSource.MICROPHONE, tone(440.0, seconds=0.4))


@proves("C57")
async def test_pictures_arrive_bit_for_bit(harness: Harness) -> None:
    await exact(harness, TrackSource.CAMERA, film(GREYS))
