"""What the application hands over when it takes a place: published instead of the client's devices, and closed once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from utd_core.client import UTDAudioRoomSession, UTDCallSession, UTDLiveStreamSession, UTDSession
from utd_core.errors import Conflict, InvalidInput, Superseded
from utd_core.media.faults import Fault
from utd_core.media.frames import AudioFrame, VideoFrame
from utd_core.media.sources.base import AudioSourceBase, VideoSourceBase
from utd_core.model.permission import TrackSource
from utd_core.model.seats import SeatMode

from .world import ROOM, World, held_by, now

MICROPHONE = frozenset({TrackSource.MICROPHONE})
BOTH = MICROPHONE | {TrackSource.CAMERA}
VIDEO_SEATS = {"seat_video": True}


class Hum(AudioSourceBase):
    """A sound that is known by its samples, all of which have one value."""

    def __init__(self, value: int = 7) -> None:
        super().__init__(48_000, 1, 20)
        self._data = value.to_bytes(2, "little") * self.samples_per_frame
        self.closed = 0

    async def read(self) -> AudioFrame | None:
        self._check_open()
        return self._stamp(self._data)

    async def aclose(self) -> None:
        self.closed += 1
        await super().aclose()


class Wall(VideoSourceBase):
    """A picture that is known by its brightness."""

    def __init__(self, luma: int = 99) -> None:
        super().__init__(16, 16, 10.0)
        self._data = bytes([luma]) * 384
        self.closed = 0

    async def read(self) -> VideoFrame | None:
        self._check_open()
        return self._stamp(self._data)

    async def aclose(self) -> None:
        self.closed += 1
        await super().aclose()


def times_closed(source: Hum | Wall) -> int:
    """So far (a checker takes two looks at `.closed` for the same)."""
    return source.closed


async def hum_of(world: World, listener: UTDSession, speaker: str) -> int:
    """The value of the samples that arrive now."""
    async with listener.frames(speaker) as frames:
        frame = await world.run(anext(frames))
    return int.from_bytes(frame.data[:2], "little")


async def luma_of(world: World, viewer: UTDSession, actor: str) -> int:
    """The brightness of the picture that arrives now."""
    async with viewer.frames(actor, TrackSource.CAMERA) as pictures:
        frame = await world.run(anext(pictures))
    return frame.data[0]


async def two_in_a_room(
    world: World, options: dict[str, Any] | None = None
) -> tuple[UTDAudioRoomSession, UTDAudioRoomSession]:
    host = await world.audio_room("host", as_host=True, options=options)
    return host, await world.audio_room("listener")


class TestASeat:
    async def test_is_heard_with_what_was_given_and_no_device_is_opened(self, world: World) -> None:
        opened: list[Hum] = []

        def device() -> Hum:
            opened.append(Hum(1))
            return opened[-1]

        host = await world.audio_room("host", as_host=True, microphone=device)
        listener = await world.audio_room("listener")
        given = Hum()
        await world.run(host.take_seat(microphone=given))
        assert await hum_of(world, listener, "host") == 7
        assert not opened
        await world.run(host.leave_seat())
        assert given.closed == 1
        await world.run(host.take_seat())
        assert await hum_of(world, listener, "host") == 1, "the next time it is the client's own again"

    async def test_is_seen_where_seats_have_pictures(self, world: World) -> None:
        host, listener = await two_in_a_room(world, VIDEO_SEATS)
        given = Wall()
        await world.run(host.take_seat(camera=given))
        assert now(host.room.publishing) == BOTH
        assert await luma_of(world, listener, "host") == 99

    async def test_without_pictures_takes_no_camera_and_is_not_taken(self, world: World) -> None:
        host, _ = await two_in_a_room(world)
        given = Wall()
        with pytest.raises(InvalidInput, match="no camera is opened here"):
            await host.take_seat(camera=given)
        assert held_by(host) is None
        assert not given.closed

    @pytest.mark.parametrize("given", [{"microphone": Wall()}, {"microphone": "voice.wav"}, {"camera": Hum()}])
    async def test_takes_the_right_kind_of_source(self, world: World, given: dict[str, Any]) -> None:
        host, _ = await two_in_a_room(world, VIDEO_SEATS)
        with pytest.raises(InvalidInput, match=r"takes an? (audio|video) source"):
            await host.take_seat(**given)
        assert held_by(host) is None

    async def test_that_is_taken_in_silence_takes_no_source(self, world: World) -> None:
        host, _ = await two_in_a_room(world)
        with pytest.raises(InvalidInput, match="no microphone is opened here"):
            await host.take_seat(publish=False, microphone=Hum())
        assert held_by(host) is None

    async def test_that_is_refused_leaves_the_source_to_the_application(self, world: World) -> None:
        host, listener = await two_in_a_room(world)
        await world.run(host.take_seat(0))
        given = Hum()
        with pytest.raises(Conflict):
            await listener.take_seat(0, microphone=given)
        assert not given.closed
        await world.run(listener.take_seat(1, microphone=given))
        assert await hum_of(world, host, "listener") == 7

    async def test_that_is_left_during_the_grant_wait_leaves_the_source_to_the_application(self, world: World) -> None:
        host, _ = await two_in_a_room(world)
        given = Hum()
        await world.fault(Fault.GRANT_DELAY, ROOM, "host", seconds=3.0)
        taking = asyncio.ensure_future(host.take_seat(0, microphone=given))
        await world.settle()
        await world.run(host.leave_seat())
        with pytest.raises(Superseded):
            await taking
        assert not given.closed

    async def test_whose_sound_is_locked_closes_what_it_cannot_publish(self, world: World) -> None:
        host, listener = await two_in_a_room(world, VIDEO_SEATS)
        await host.lock_seat(0, take=False, audio=True)
        voice, face = Hum(), Wall()
        seat = await world.run(host.take_seat(0, microphone=voice, camera=face))
        assert seat.audio_locked
        assert (voice.closed, face.closed) == (1, 0)
        assert now(host.room.publishing) == {TrackSource.CAMERA}
        assert await luma_of(world, listener, "host") == 99

    async def test_by_invitation_is_no_different(self, world: World) -> None:
        host, listener = await two_in_a_room(world)
        await host.lock_seat(3, take=False, audio=True)
        for seat, closed in ((3, 1), (4, 0)):
            given = Hum()
            invitation = await host.invite_to_speak("listener", seat)
            await world.settle()
            await world.run(listener.accept_invitation(invitation.id, microphone=given))
            assert given.closed == closed
            assert now(listener.room.publishing) == (frozenset() if closed else MICROPHONE)
            await world.run(listener.leave_seat())

    async def test_is_heard_again_with_the_same_source_after_a_lost_connection(self, world: World) -> None:
        host, listener = await two_in_a_room(world)
        given = Hum()
        await world.run(host.take_seat(microphone=given))
        await world.fault(Fault.SERVER_LEAVE, ROOM, "host")
        await world.until(lambda: now(host.connected) and now(host.room.publishing) == MICROPHONE)
        assert await hum_of(world, listener, "host") == 7
        assert not given.closed


class TestARequest:
    async def request(self, world: World, given: Hum) -> tuple[UTDAudioRoomSession, UTDAudioRoomSession, int]:
        host, listener = await two_in_a_room(world, {"seat_mode": SeatMode.REQUEST, "request_timeout": 30.0})
        return host, listener, (await listener.request_to_speak(microphone=given)).id

    async def test_that_is_approved_is_heard(self, world: World) -> None:
        given = Hum()
        host, listener, request = await self.request(world, given)
        await host.approve_speaker(request)
        await world.until(lambda: now(listener.room.publishing) == MICROPHONE)
        assert await hum_of(world, host, "listener") == 7
        assert times_closed(given) == 0
        await world.run(listener.leave())
        assert times_closed(given) == 1

    @pytest.mark.parametrize("end", ["rejected", "taken back", "expired", "left", "closed"])
    async def test_that_ends_otherwise_closes_what_was_given(self, world: World, end: str) -> None:
        given = Hum()
        host, listener, request = await self.request(world, given)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "rejected": lambda: host.reject_speaker(request),
            "taken back": lambda: listener.cancel_request(request),
            "expired": lambda: world.clock.advance(31.0),
            "left": listener.leave,
            "closed": listener.aclose,
        }
        await world.run(ways[end]())
        await world.settle()
        assert given.closed == 1
        assert len(listener._awaited) == 0

    async def test_that_is_approved_on_a_locked_line_gives_up_with_its_deadline(self, world: World) -> None:
        given = Hum()
        host, listener, request = await self.request(world, given)
        await world.fault(Fault.GRANT_DELAY, ROOM, "listener", seconds=3_600.0)
        await host.approve_speaker(request)
        await world.clock.advance(11.0)
        assert now(listener.room.publishing) == frozenset()
        assert given.closed == 1

    async def test_that_is_refused_leaves_the_source_to_the_application(self, world: World) -> None:
        given = Hum()
        _, listener, _ = await self.request(world, Hum())
        with pytest.raises(Conflict):
            await listener.request_to_speak(microphone=given)
        assert not given.closed

    async def test_approved_at_the_moment_of_leaving_closes_what_was_given_once_published_or_not(
        self, world: World
    ) -> None:
        given = Hum()
        host, listener, request = await self.request(world, given)
        await asyncio.gather(host.approve_speaker(request), world.run(listener.leave()))
        await world.settle()
        assert given.closed >= 1
        assert len(listener._awaited) == 0


class TestAStage:
    async def live(self, world: World) -> tuple[UTDLiveStreamSession, UTDLiveStreamSession]:
        """Neither has a camera."""
        host = await world.live_stream("host", as_host=True, camera=None)
        return host, await world.live_stream("viewer", camera=None)

    async def test_is_shown_what_was_given_though_the_client_has_no_camera(self, world: World) -> None:
        host, viewer = await self.live(world)
        voice, face = Hum(), Wall()
        await world.run(host.go_live(microphone=voice, camera=face))
        assert await hum_of(world, viewer, "host") == 7
        assert await luma_of(world, viewer, "host") == 99
        await world.run(host.aclose())
        assert (voice.closed, face.closed) == (1, 1)

    async def test_without_video_takes_no_camera(self, world: World) -> None:
        host, _ = await self.live(world)
        with pytest.raises(InvalidInput, match="no camera is opened here"):
            await host.go_live(with_video=False, camera=Wall())

    async def test_is_shown_what_the_invited_one_gives(self, world: World) -> None:
        host, viewer = await self.live(world)
        invitation = await host.ask_to_stage("viewer")
        await world.settle()
        await world.run(viewer.accept_invitation(invitation.id, camera=Wall()))
        assert now(viewer.room.publishing) == BOTH
        assert await luma_of(world, host, "viewer") == 99

    async def test_is_shown_what_the_one_who_raised_a_hand_gives(self, world: World) -> None:
        host, viewer = await self.live(world)
        request = await viewer.request_stage(microphone=Hum(), camera=Wall())
        await host.approve_stage(request.id)
        await world.until(lambda: now(viewer.room.publishing) == BOTH)
        assert await hum_of(world, host, "viewer") == 7
        assert await luma_of(world, host, "viewer") == 99


class TestACall:
    async def callers(self, world: World, type: str) -> tuple[UTDCallSession, UTDCallSession]:
        """Neither has a camera."""
        return await world.caller("alice", type, camera=None), await world.caller("bob", type, camera=None)

    async def test_carries_what_each_side_gives(self, world: World) -> None:
        alice, bob = await self.callers(world, "video_call")
        given = Hum(11), Wall(22), Hum(33), Wall(44)
        call = await world.run(alice.start("bob", microphone=given[0], camera=given[1]))
        await world.run(bob.accept(call.call_id, microphone=given[2], camera=given[3]))
        assert (await hum_of(world, bob, "alice"), await luma_of(world, bob, "alice")) == (11, 22)
        assert (await hum_of(world, alice, "bob"), await luma_of(world, alice, "bob")) == (33, 44)
        await world.run(alice.end())
        await world.until(lambda: [source.closed for source in given] == [1, 1, 1, 1])

    async def test_with_sound_only_takes_no_camera_and_does_not_ring(self, world: World) -> None:
        alice, _ = await self.callers(world, "audio_call")
        with pytest.raises(InvalidInput, match="no camera is opened here"):
            await alice.start("bob", camera=Wall())
        assert now(alice.call_id) is None

    async def test_with_video_needs_a_camera_from_somewhere(self, world: World) -> None:
        alice, _ = await self.callers(world, "video_call")
        with pytest.raises(InvalidInput, match="there is no camera to open"):
            await alice.start("bob", microphone=Hum())

    async def test_that_the_other_side_ends_during_the_grant_wait_closes_what_was_given(self, world: World) -> None:
        alice, bob = await self.callers(world, "audio_call")
        given = Hum()
        starting = asyncio.ensure_future(alice.start("bob", microphone=given))
        while (call_id := now(alice.call_id)) is None:
            await asyncio.sleep(0)
        assert not starting.done()
        await bob.reject(call_id)
        await world.run(starting)
        await world.settle()
        assert given.closed >= 1


@pytest.mark.parametrize("source", ["microphone", "camera", "screen_share"])
async def test_switching_off_takes_no_source(world: World, source: str) -> None:
    host = await world.live_stream("host", as_host=True)
    given: Any = Hum() if source == "microphone" else Wall()
    with pytest.raises(InvalidInput, match="takes no source"):
        await getattr(host, f"set_{source}")(False, given)
    assert not given.closed
