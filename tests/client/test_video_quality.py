"""Videos in the size that their viewer wishes: U21, with the session API."""

from __future__ import annotations

import pytest

from utd_core import TrackSource, VideoFrame, VideoQuality
from utd_core.client import UTDLiveStreamSession, UTDSession
from utd_core.errors import Conflict, InvalidInput, Unsupported
from utd_core.media.faults import Fault
from utd_core.media.sources.pattern import TestPatternVideoSource
from utd_mock.connection import MockConnection

from .world import ROOM, World

WHOLE, HALF, QUARTER = (64, 48), (32, 24), (16, 12)
"""The sizes in which `world.small_camera` comes."""


async def host_and_viewer(world: World, **viewer: object) -> tuple[UTDLiveStreamSession, UTDLiveStreamSession]:
    host = await world.live_stream("host", as_host=True, simulcast=True)
    await host.go_live()
    return host, await world.live_stream("viewer", **viewer)  # type: ignore[arg-type]  # options of a client


async def size(world: World, session: UTDSession) -> tuple[int, int]:
    """In which size the next pictures of the host come."""
    async with session.frames("host", TrackSource.CAMERA) as frames:
        frame = await world.run(anext(frames))
    assert isinstance(frame, VideoFrame)
    return frame.width, frame.height


def made(world: World) -> list[int]:
    """Pictures made of each layer of the host's camera, largest first."""
    tracks = world.backend.server.rooms[ROOM].participants["host"].tracks
    (camera,) = [track for track in tracks if track.info.source is TrackSource.CAMERA]
    return [layer.frames for layer in camera.layers]


@pytest.mark.parity("U21")
async def test_a_video_comes_in_the_wished_size_and_no_other_is_made(world: World) -> None:
    _, viewer = await host_and_viewer(world)
    await world.clock.advance(1.0)
    assert made(world) == [0, 0, 0], "nobody reads"
    assert await size(world, viewer) == WHOLE
    await viewer.set_video_quality("host", VideoQuality.LOW)
    whole, *_ = made(world)
    async with viewer.frames("host", TrackSource.CAMERA) as frames:
        seen = [await world.run(anext(frames)) for _ in range(5)]
        assert [(frame.width, frame.height) for frame in seen] == [QUARTER] * 5
        assert made(world) == [whole, 0, 5]
        await viewer.set_video_quality("host", VideoQuality.MEDIUM)
        frame = await world.run(anext(frames))
        assert (frame.width, frame.height) == HALF
    before = made(world)
    await world.clock.advance(1.0)
    assert made(world) == before, "nobody reads any more"


@pytest.mark.parity("U21")
async def test_a_client_without_dynacast_makes_every_layer(world: World) -> None:
    host = await world.live_stream("host", as_host=True, simulcast=True, dynacast=False)
    await host.go_live()
    await world.clock.advance(1.0)
    whole, half, quarter = made(world)
    assert whole == half == quarter >= 10


@pytest.mark.parity("U21")
async def test_without_simulcast_there_is_one_size(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    await host.go_live()
    viewer = await world.live_stream("viewer")
    await viewer.set_video_quality("host", VideoQuality.LOW)
    assert await size(world, viewer) == WHOLE


@pytest.mark.parity("U21")
async def test_a_wish_made_before_there_is_a_video_is_met(world: World) -> None:
    host = await world.live_stream("host", as_host=True, simulcast=True)
    await host.go_live(with_video=False)
    viewer = await world.live_stream("viewer")
    await viewer.set_video_quality("host", VideoQuality.LOW)
    await host.set_camera(True)
    await world.settle()
    assert await size(world, viewer) == QUARTER


@pytest.mark.parity("U21")
async def test_a_wish_outlasts_the_track(world: World) -> None:
    host, viewer = await host_and_viewer(world)
    await viewer.set_video_quality("host", VideoQuality.MEDIUM)
    assert await size(world, viewer) == HALF
    await host.set_camera(True, TestPatternVideoSource(width=32, height=32, framerate=10.0))
    await world.settle()
    assert await size(world, viewer) == (16, 16)


@pytest.mark.parity("U21")
@pytest.mark.parametrize("fault", [Fault.FULL_RECONNECT, Fault.SERVER_LEAVE])
@pytest.mark.parametrize("whose", ["host", "viewer"])
async def test_a_wish_outlasts_the_connection_of_either_side(world: World, fault: Fault, whose: str) -> None:
    _, viewer = await host_and_viewer(world)
    await viewer.set_video_quality("host", VideoQuality.LOW)
    assert await size(world, viewer) == QUARTER
    await world.fault(fault, ROOM, whose)
    await world.clock.advance(10.0)
    assert await size(world, viewer) == QUARTER


@pytest.mark.parity("U21")
async def test_a_wish_ends_when_the_session_is_left(world: World) -> None:
    _, viewer = await host_and_viewer(world)
    await viewer.set_video_quality("host", VideoQuality.LOW)
    await viewer.leave()
    with pytest.raises(Conflict):
        await viewer.set_video_quality("host", VideoQuality.LOW)
    await viewer.join()
    assert await size(world, viewer) == WHOLE


async def test_the_last_of_several_wishes_counts_while_a_track_begins(world: World) -> None:
    host = await world.live_stream("host", as_host=True, simulcast=True)
    await host.go_live(with_video=False)
    viewer = await world.live_stream("viewer")
    await viewer.set_video_quality("host", VideoQuality.LOW)
    await host.set_camera(True)
    await viewer.set_video_quality("host", VideoQuality.HIGH)
    await world.settle()
    assert await size(world, viewer) == WHOLE


async def test_a_wish_that_makes_no_sense_is_refused(world: World) -> None:
    _, viewer = await host_and_viewer(world)
    with pytest.raises(InvalidInput, match="is sound"):
        await viewer.set_video_quality("host", VideoQuality.LOW, TrackSource.MICROPHONE)
    with pytest.raises(InvalidInput, match="low, medium, high"):
        await viewer.set_video_quality("host", "tiny")  # type: ignore[arg-type]  # what is refused
    with pytest.raises(InvalidInput):
        await viewer.set_video_quality("", VideoQuality.LOW)
    assert await size(world, viewer) == WHOLE


async def test_a_backend_without_layers_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def deny(*_: object) -> None:
        raise Unsupported("backend 'mock' cannot do this: simulcast")

    _, viewer = await host_and_viewer(world)
    monkeypatch.setattr(MockConnection, "set_quality", deny)
    with pytest.raises(Unsupported, match="simulcast"):
        await viewer.set_video_quality("host", VideoQuality.LOW)
    assert await size(world, viewer) == WHOLE
