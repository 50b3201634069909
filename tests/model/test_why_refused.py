"""Each reason for which a source is not granted has words of its own, that name what to do."""

from __future__ import annotations

from utd_core.model.commands import (
    EndCall,
    EndRoom,
    LockSeat,
    MuteParticipant,
    MuteSeat,
    TakeSeat,
)
from utd_core.model.grants import call_grant_of, grant_of, why_refused, why_refused_in_call
from utd_core.model.permission import TrackSource
from utd_core.model.stream_type import UTDStreamType

from .world import LOUNGE, CallWorld, RoomWorld, a_room, a_stream

MICROPHONE, CAMERA, SCREEN = TrackSource.MICROPHONE, TrackSource.CAMERA, TrackSource.SCREEN_SHARE


def words(world: RoomWorld, identity: str, source: TrackSource = MICROPHONE) -> str:
    """Why it is refused, which it must be."""
    assert source not in grant_of(world.room, identity).publish
    return why_refused(world.room, identity, source)


def test_in_an_audio_room() -> None:
    world = a_room("guest")
    assert "take a seat" in words(world, "guest")
    world.give("guest", TakeSeat(room=LOUNGE, index=3))
    assert "sound only" in words(world, "guest", CAMERA)
    assert "screen" in words(world, "guest", SCREEN)
    world.give("host", MuteSeat(room=LOUNGE, index=3))
    assert "moderator took the microphone" in words(world, "guest")
    world.give("host", LockSeat(room=LOUNGE, index=3, take=False, audio=True))
    assert "seat 3 is locked" in words(world, "guest")
    world.give("host", EndRoom(room=LOUNGE))
    assert "ended" in words(world, "guest")


def test_on_seats_with_pictures() -> None:
    world = RoomWorld()
    world.create(owner="host", seat_video=True)
    world.join("guest")
    world.give("guest", TakeSeat(room=LOUNGE, index=0))
    world.give("host", MuteSeat(room=LOUNGE, index=0, audio=False, video=True))
    assert "moderator took the camera" in words(world, "guest", CAMERA)


def test_in_a_stream() -> None:
    world = RoomWorld()
    world.create(UTDStreamType.LIVE_STREAM, owner="host", backstage=True)
    assert "not live" in words(world, "viewer")
    world = a_stream("viewer")
    assert "come on stage" in words(world, "viewer")
    world.give("host", MuteParticipant(room=LOUNGE, identity="host", video=True, audio=None))
    assert "moderator took the camera" in words(world, "host", CAMERA)


def test_in_a_call() -> None:
    world = CallWorld()
    world.start()
    assert MICROPHONE not in call_grant_of(world.call, world.call.callee).publish
    assert "answer" in why_refused_in_call(world.call, world.call.callee)
    assert "two parties" in why_refused_in_call(world.call, "stranger")
    assert "start a video call" in why_refused_in_call(world.call, world.call.caller)
    world.give("ann", EndCall(id=world.call.id))
    assert f"the call is {world.call.status.value}" in why_refused_in_call(world.call, world.call.caller)
