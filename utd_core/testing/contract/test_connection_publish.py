"""Publishing, muting, unpublishing: C17 to C37."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import Closed, InvalidFrame, PublishRefused
from ...media.events import (
    TrackMuted,
    TrackPublished,
    TrackSubscribed,
    TrackUnmuted,
    TrackUnpublished,
)
from ...media.frames import Frame
from ...model.permission import Grant, TrackSource
from .harness import LISTENER, Harness
from .proof import proves, refused
from .signals import film, flat, tone
from .test_connection_lifecycle import gone, pair

HUM = tone(440.0, seconds=0.2)
WHISTLE = tone(1_500.0, seconds=0.2)
MICROPHONE, CAMERA = TrackSource.MICROPHONE, TrackSource.CAMERA
SCREEN, SCREEN_AUDIO = TrackSource.SCREEN_SHARE, TrackSource.SCREEN_SHARE_AUDIO


@proves("C17")
async def test_the_others_are_told_of_a_published_track(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish(name="voice")
    info = await bob.announced(ann)
    assert info == track.info
    assert (info.source, info.name, info.muted) == (MICROPHONE, "voice", False)
    assert bob.knows("ann") == (info,)
    await bob.expect(TrackSubscribed, track=info.id)
    await harness.settle()
    assert len(bob.told(TrackPublished)) == len(bob.told(TrackSubscribed)) == 1


@proves("C18")
async def test_publishing_without_a_grant_is_refused_at_once(harness: Harness) -> None:
    room = await harness.room()
    ann, bob = await harness.join(room, "ann", LISTENER), await harness.join(room, "bob")
    began = harness.clock.monotonic()
    with refused(PublishRefused):
        await ann.publish()
    assert harness.clock.monotonic() - began <= harness.prompt
    await harness.settle()
    assert not bob.told(TrackPublished)
    assert bob.knows("ann") == ()


@proves("C19")
async def test_the_grant_of_one_source_is_not_the_grant_of_another(harness: Harness) -> None:
    room = await harness.room()
    for granted, other in ((MICROPHONE, CAMERA), (CAMERA, MICROPHONE)):
        peer = await harness.join(room, str(granted), Grant(publish=frozenset({granted})))
        with refused(PublishRefused):
            await peer.publish(other)
        assert (await peer.publish(granted)).info.source is granted
        await harness.within(peer.connection.aclose())


async def arrives(harness: Harness, source: TrackSource, frames: Sequence[Frame]) -> None:
    """A track of `source` is announced, subscribed and read as what it is."""
    _, ann, bob = await pair(harness)
    track = await ann.publish(source)
    assert track.info.source is source
    listener = await bob.listens(ann, source)
    async with harness.playing(track, frames):
        await harness.eventually(lambda: listener.frames, what=f"frames of {source}")
    assert {type(frame) for frame in listener.frames} == {type(frames[0])}
    assert [info.source for info in bob.knows("ann") or ()] == [source]


@proves("C20")
async def test_a_microphone_arrives_as_a_microphone(harness: Harness) -> None:
    await arrives(harness, MICROPHONE, HUM)


@proves("C21")
async def test_a_camera_arrives_as_a_camera(harness: Harness) -> None:
    await arrives(harness, CAMERA, film([100]))


@proves("C22")
async def test_a_shared_screen_arrives_as_a_shared_screen(harness: Harness) -> None:
    await arrives(harness, SCREEN, film([100]))


@proves("C23")
async def test_the_sound_of_a_shared_screen_arrives_as_such(harness: Harness) -> None:
    await arrives(harness, SCREEN_AUDIO, HUM)


@proves("C24")
async def test_tracks_side_by_side_do_not_mix(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    voice, film_sound = await ann.publish(MICROPHONE), await ann.publish(SCREEN_AUDIO)
    assert voice.info.id != film_sound.info.id
    hears_voice, hears_film = await bob.listens(ann, MICROPHONE), await bob.listens(ann, SCREEN_AUDIO)
    async with harness.playing(voice, HUM), harness.playing(film_sound, WHISTLE):
        await hears_voice.hears(440.0)
        await hears_film.hears(1_500.0)
    await harness.within(voice.unpublish())
    await hears_voice.end()
    async with harness.playing(film_sound, WHISTLE):
        await hears_film.hears(1_500.0)


@proves("C25")
async def test_a_second_track_of_a_source_replaces_the_first(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    first = await ann.publish()
    listener = await bob.listens(ann)
    second = await ann.publish()
    assert second.info.id != first.info.id
    await bob.expect(TrackUnpublished, track=first.info.id)
    await bob.expect(TrackSubscribed, track=second.info.id)
    await listener.end()
    assert [info.id for info in bob.knows("ann") or ()] == [second.info.id]
    with refused(Closed):
        await harness.within(first.write(HUM[0]))
    # The end of the first one must not take the second one along.
    await harness.within(first.unpublish())
    again = harness.listen(bob.connection.read(second.info.id))
    async with harness.playing(second, HUM):
        await again.hears(440.0)


@proves("C26")
async def test_who_joins_late_gets_the_tracks_that_are_there(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    voice = await ann.publish(MICROPHONE, name="voice")
    await harness.within(voice.set_muted(True))
    bob = await harness.join(room, "bob")
    await harness.eventually(
        lambda: [(i.id, i.name, i.muted) for i in bob.knows("ann") or ()] == [(voice.info.id, "voice", True)]
    )
    listener = await bob.listens(ann)
    await harness.within(voice.set_muted(False))
    async with harness.playing(voice, HUM):
        await listener.hears(440.0)
    assert len(bob.told(TrackSubscribed)) == 1


@proves("C27")
async def test_unpublishing_ends_the_track_for_everybody(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    await harness.within(track.unpublish())
    await bob.expect(TrackUnpublished, identity="ann", track=track.info.id)
    await listener.end()
    assert bob.knows("ann") == ()
    await harness.within(track.unpublish())
    await harness.settle()
    assert len(bob.told(TrackUnpublished)) == 1


@proves("C28")
async def test_writing_to_an_unpublished_track_raises_closed(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    track = await ann.publish()
    await harness.within(track.unpublish())
    with refused(Closed):
        await harness.within(track.write(HUM[0]))
    later = await ann.publish()
    await harness.within(ann.connection.aclose())
    with refused(Closed):
        await harness.within(later.write(HUM[0]))


@proves("C29")
async def test_a_source_published_again_is_heard_again(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    for round_number in range(1, 4):
        track = await ann.publish()
        await bob.expect(TrackSubscribed, count=round_number)
        listener = await bob.listens(ann)
        async with harness.playing(track, HUM):
            await listener.hears(440.0)
        await harness.within(track.unpublish())
        await listener.end()


@proves("C30")
async def test_the_tracks_of_who_leaves_end(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    await ann.publish()
    listener = await bob.listens(ann)
    await harness.within(ann.connection.aclose())
    await listener.end()
    await gone(bob, "ann")


@proves("C31")
async def test_a_muted_track_is_not_heard(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        await listener.hears(440.0)
        await harness.within(track.set_muted(True))
        assert track.info.muted
        assert not (await bob.expect(TrackMuted, identity="ann", track=track.info.id)).by_server
        await listener.silence()
    assert [info.muted for info in bob.knows("ann") or ()] == [True]
    assert not bob.told(TrackUnpublished)


@proves("C32")
async def test_an_unmuted_track_is_heard_again(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        await harness.within(track.set_muted(True))
        await bob.expect(TrackMuted)
        await harness.within(track.set_muted(False))
        assert not track.info.muted
        await bob.expect(TrackUnmuted, identity="ann", track=track.info.id)
        await listener.hears(440.0)
    assert [info.muted for info in bob.knows("ann") or ()] == [False]


@proves("C33")
async def test_frames_written_while_muted_are_counted_as_dropped(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann")
    track = await ann.publish()
    await harness.within(track.set_muted(True))
    await harness.play(track, HUM)
    (sent,) = (await harness.within(ann.connection.statistics())).sent
    assert sent.track.id == track.info.id
    assert (sent.frames, sent.dropped) == (0, len(HUM))


@proves("C34")
async def test_muting_what_is_muted_tells_nobody_anything(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    await bob.sees(ann)
    for muted in (False, True, True, False, False):
        await harness.within(track.set_muted(muted))
        await harness.settle()
    assert len(bob.told(TrackMuted)) == len(bob.told(TrackUnmuted)) == 1


@proves("C35")
async def test_a_frame_of_another_shape_is_refused_and_the_track_goes_on(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    for wrong in (tone(440.0, seconds=0.02, sample_rate=16_000)[0], tone(440.0, 440.0, seconds=0.02)[0], flat(100)):
        with refused(InvalidFrame):
            await harness.within(track.write(wrong))
    async with harness.playing(track, HUM):
        await listener.hears(440.0)


@proves("C36")
async def test_a_picture_of_another_size_is_refused_and_the_track_goes_on(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish(CAMERA)
    listener = await bob.listens(ann, CAMERA)
    for wrong in (flat(100, 320, 240), flat(100, 120, 160), HUM[0]):
        with refused(InvalidFrame):
            await harness.within(track.write(wrong))
    async with harness.playing(track, film([100])):
        await harness.eventually(lambda: listener.frames)


@proves("C37")
async def test_a_simulcast_track_is_received(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish(CAMERA, simulcast=True, width=640, height=480)
    listener = await bob.listens(ann, CAMERA)
    async with harness.playing(track, film([100], width=640, height=480)):
        await harness.eventually(lambda: listener.frames)
    for frame in listener.video:
        assert abs(frame.width / frame.height - 640 / 480) < 0.05
