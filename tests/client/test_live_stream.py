"""Live streams: those on stage are seen and heard."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.client import UTDStageMember
from utd_core.errors import Conflict, Forbidden, InvalidInput, Superseded
from utd_core.media.faults import Fault
from utd_core.media.frames import VideoFrame
from utd_core.model.permission import TrackSource
from utd_core.model.request import RequestState
from utd_core.model.roles import Role
from utd_core.model.room import Phase

from .world import ROOM, World, now, small_camera

BOTH = frozenset({TrackSource.MICROPHONE, TrackSource.CAMERA})
NOTHING: frozenset[TrackSource] = frozenset()

pytestmark = pytest.mark.parity("U14")


async def test_the_host_goes_live_and_everybody_sees_and_hears(world: World) -> None:
    host = await world.live_stream("host", as_host=True, name="The host")
    viewer = await world.live_stream("viewer")
    assert (host.room_name, host.is_host, viewer.is_host) == (ROOM, True, False)
    assert host.is_on_stage
    await world.run(host.go_live())
    assert now(host.room.publishing) == BOTH
    async with viewer.frames("host", TrackSource.CAMERA) as pictures, viewer.frames("host") as sound:
        assert isinstance(await world.run(anext(pictures)), VideoFrame)
        assert any((await world.run(anext(sound))).data)
    assert now(viewer.stage) == (UTDStageMember("host", "The host", Role.OWNER),)


async def test_going_live_without_video_opens_the_microphone_alone(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    await world.run(host.go_live(with_video=False))
    assert now(host.room.publishing) == {TrackSource.MICROPHONE}


async def test_going_live_leaves_backstage(world: World) -> None:
    host = await world.live_stream("host", as_host=True, options={"backstage": True})
    assert now(host.phase) is Phase.BACKSTAGE
    await world.run(host.go_live())
    await world.settle()
    assert now(host.phase) is Phase.LIVE
    await world.live_stream("viewer")


async def test_going_live_with_video_needs_a_camera_and_says_so_before_anything_happens(world: World) -> None:
    host = await world.live_stream("host", as_host=True, camera=None, options={"backstage": True})
    with pytest.raises(InvalidInput, match="camera"):
        await host.go_live()
    assert now(host.phase) is Phase.BACKSTAGE
    await world.run(host.go_live(with_video=False))


async def test_a_viewer_cannot_go_live_or_publish(world: World) -> None:
    await world.live_stream("host", as_host=True)
    viewer = await world.live_stream("viewer")
    for device in (viewer.set_microphone, viewer.set_camera):
        with pytest.raises(Forbidden):
            await device(True)
    with pytest.raises(Forbidden):
        await viewer.set_screen_share(True, small_camera())


async def test_inviting_promotes_at_once_and_without_limit(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    viewers = [await world.live_stream(f"viewer-{number}", name=f"V{number}") for number in range(12)]
    for number, viewer in enumerate(viewers):
        member = await host.invite_to_stage(viewer.identity)
        assert member == UTDStageMember(f"viewer-{number}", f"V{number}", Role.AUDIENCE)
    await world.settle()
    for viewer in viewers:
        assert viewer.is_on_stage
        await viewer.set_microphone(True)
    assert [member.identity for member in now(host.stage)] == ["host", *(viewer.identity for viewer in viewers)]
    assert await host.refresh_stage() == now(host.stage)
    with pytest.raises(Conflict) as caught:
        await host.invite_to_stage("viewer-0")
    assert caught.value.code == "already_on_stage"


async def test_removing_from_stage_closes_camera_and_microphone(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    viewer = await world.live_stream("viewer")
    await host.invite_to_stage("viewer")
    await world.settle()
    await viewer.set_microphone(True)
    await viewer.set_camera(True)
    assert now(viewer.room.publishing) == BOTH
    await host.remove_from_stage("viewer")
    await world.settle()
    assert now(viewer.room.publishing) == NOTHING
    assert not viewer.is_on_stage
    with pytest.raises(Forbidden):
        await viewer.remove_from_stage("host")


async def test_a_raised_hand_that_is_approved_opens_both_devices(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    viewer = await world.live_stream("viewer")
    request = await viewer.request_stage()
    await world.settle()
    assert now(host.requests) == (request,)
    await host.approve_stage(request.id)
    await world.until(lambda: viewer.room.publishing.value == BOTH)


async def test_a_raised_hand_that_is_rejected_opens_nothing(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    viewer = await world.live_stream("viewer")
    request = await viewer.request_stage()
    assert (await host.reject_stage(request.id, reason="full")).reason == "full"
    await world.settle()
    assert now(viewer.room.publishing) == NOTHING


async def test_asking_somebody_on_stage_leaves_the_decision_to_them(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    viewer = await world.live_stream("viewer")
    first = await host.ask_to_stage("viewer")
    assert (await viewer.decline_invitation(first.id)).state is RequestState.REJECTED
    second = await host.ask_to_stage("viewer")
    await world.run(viewer.accept_invitation(second.id))
    assert now(viewer.room.publishing) == BOTH


async def test_stepping_down_closes_everything(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    viewer = await world.live_stream("viewer")
    await host.invite_to_stage("viewer")
    await world.settle()
    await viewer.set_microphone(True)
    await viewer.set_camera(True)
    await viewer.set_screen_share(True, small_camera())
    assert now(viewer.room.publishing) == BOTH | {TrackSource.SCREEN_SHARE}
    await world.run(viewer.leave_stage())
    assert now(viewer.room.publishing) == NOTHING
    await world.settle()
    assert not viewer.is_on_stage
    with pytest.raises(Conflict) as caught:
        await viewer.leave_stage()
    assert caught.value.code == "not_on_stage"


@pytest.mark.parity("U22")
async def test_stepping_down_during_the_grant_wait_leaves_no_device_open(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    viewer = await world.live_stream("viewer")
    await world.fault(Fault.GRANT_DELAY, ROOM, "viewer", seconds=3.0)
    request = await host.ask_to_stage("viewer")
    accepting = asyncio.ensure_future(viewer.accept_invitation(request.id))
    await world.settle()
    assert viewer.is_on_stage
    assert not accepting.done()
    await world.run(viewer.leave_stage())
    with pytest.raises(Superseded):
        await accepting
    await world.clock.advance(20.0)
    assert now(viewer.room.publishing) == NOTHING


async def test_a_moderators_mute_on_stage_closes_one_device(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    viewer = await world.live_stream("viewer")
    await host.invite_to_stage("viewer")
    await world.settle()
    await viewer.set_microphone(True)
    await viewer.set_camera(True)
    await host.mute("viewer", audio=True)
    await world.settle()
    assert now(viewer.room.publishing) == {TrackSource.CAMERA}
    assert now(host.stage)[1].muted_audio


async def test_a_name_arrives_with_the_media_connection_of_somebody_promoted_before(world: World) -> None:
    host = await world.live_stream("host", as_host=True)
    viewer = await world.live_stream("viewer", name="Vera")
    await host.invite_to_stage("viewer")
    await world.fault(Fault.SERVER_LEAVE, ROOM, "viewer")
    await world.until(lambda: host.stage.value[1].name == "Vera")
    assert viewer.is_on_stage
