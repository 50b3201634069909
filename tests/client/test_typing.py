"""What a strict type checker knows of an application's code. `make check` reads this file too, and that is the test."""

from __future__ import annotations

from typing import assert_type, get_args

from utd_core.client import RemoteFrames, UTDRoom, UTDSession
from utd_core.media import AudioFrame, Frame, FrameReader, VideoFrame
from utd_core.model.permission import (
    AUDIO_SOURCES,
    VIDEO_SOURCES,
    AudioTrackSource,
    TrackSource,
    VideoTrackSource,
)

from .world import World, small_camera


def test_every_source_gives_either_sound_or_pictures() -> None:
    assert set(get_args(AudioTrackSource)) == AUDIO_SOURCES
    assert set(get_args(VideoTrackSource)) == VIDEO_SOURCES
    assert set(TrackSource) == AUDIO_SOURCES | VIDEO_SOURCES


async def test_frames_are_of_the_kind_that_their_source_has(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    viewer = await world.live_stream("viewer")
    await world.run(host.go_live())
    await host.set_screen_share(True, small_camera())
    async with viewer.frames("host") as sound, viewer.frames("host", TrackSource.CAMERA) as pictures:
        heard = assert_type(await world.run(anext(sound)), AudioFrame)
        seen = assert_type(await world.run(anext(pictures)), VideoFrame)
    assert (heard.sample_rate, seen.width) == (48_000, 64)
    assert not hasattr(heard, "width")
    async with viewer.frames("host", TrackSource.SCREEN_SHARE) as screen:
        assert_type(await world.run(anext(screen)), VideoFrame)


async def loop_over(session: UTDSession) -> None:
    """Nobody calls it: it is here to be read by the checker."""
    async for frame in session.frames("bob"):
        assert_type(frame, AudioFrame)
    async for picture in session.frames("bob", TrackSource.CAMERA):
        assert_type(picture, VideoFrame)


def ask(session: UTDSession, room: UTDRoom, any_source: TrackSource) -> None:
    """The same."""
    assert_type(session.frames("bob", TrackSource.SCREEN_SHARE_AUDIO, capacity=5), RemoteFrames[AudioFrame])
    assert_type(session.frames("bob", any_source), RemoteFrames[Frame])
    assert_type(session.reader("bob"), FrameReader[AudioFrame])
    assert_type(session.reader("bob", TrackSource.SCREEN_SHARE), FrameReader[VideoFrame])
    assert_type(session.reader("bob", any_source), FrameReader[Frame])
    assert_type(room.frames("bob"), RemoteFrames[AudioFrame])
    assert_type(room.reader("bob", TrackSource.CAMERA), FrameReader[VideoFrame])
    session.frames("bob", "camera")  # type: ignore[call-overload]  # words are no sources
