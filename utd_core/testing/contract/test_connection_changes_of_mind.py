"""What is said and taken back at once, where the first word may overtake the last one: C138 to C140."""

from __future__ import annotations

from ...errors import ErrorCode, NotFound
from ...media.events import TrackMuted, TrackUnmuted
from ...model.permission import TrackSource
from .harness import Harness
from .proof import proves, refused
from .signals import film, tone
from .test_connection_lifecycle import pair

HUM = tone(440.0, seconds=0.2)
CAMERA = TrackSource.CAMERA
TIMES = 3


@proves("C138")
async def test_a_track_is_muted_if_that_was_said_last(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    listener = await bob.listens(ann)
    async with harness.playing(track, HUM):
        for muted in [True, False] * TIMES:
            await harness.within(track.set_muted(muted))
        await harness.settle()
        assert [info.muted for info in bob.knows("ann") or ()] == [False]
        await listener.hears(440.0)
        for muted in (True, False, True):
            await harness.within(track.set_muted(muted))
        await harness.settle()
        assert [info.muted for info in bob.knows("ann") or ()] == [True]
        await listener.silence()
    assert not ann.told(TrackMuted), "the publisher was told that somebody else muted its track"
    assert not ann.told(TrackUnmuted)


@proves("C139")
async def test_a_track_is_received_if_it_was_taken_last(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish()
    await bob.sees(ann)
    for wanted in [False, True] * TIMES:
        await harness.within(bob.connection.set_subscribed(track.info.id, wanted))
    await harness.settle()
    listener = await harness.eventually(lambda: bob.reading(track.info.id), what="the track")
    assert listener is not None
    async with harness.playing(track, HUM):
        await listener.hears(440.0)
        for wanted in [True, False] * TIMES:
            await harness.within(bob.connection.set_subscribed(track.info.id, wanted))
        await harness.settle()
        await listener.end()
    with refused(NotFound, ErrorCode.TRACK_NOT_FOUND):
        bob.connection.read(track.info.id)


@proves("C140")
async def test_a_video_is_seen_by_its_last_reader(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    track = await ann.publish(CAMERA)
    listener = await bob.listens(ann, CAMERA)
    async with harness.playing(track, film([100])):
        for _ in range(TIMES):
            await harness.within(listener.reader.aclose())
            listener = await bob.listens(ann, CAMERA)
        await harness.settle()
        before = len(listener.frames)
        await harness.eventually(lambda: len(listener.frames) > before, what="pictures")
