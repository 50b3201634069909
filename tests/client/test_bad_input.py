"""Malformed and impossible input through the public client: one typed error that says what to do, and nothing changed.

What each field of each command refuses is in `tests/model/test_bad_input.py`; here stands what an application meets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from utd_core.client import PublishingEnded, UTDAudioRoomSession, UTDLiveStreamSession, UTDStreamClient
from utd_core.errors import (
    Conflict,
    InvalidFrame,
    InvalidInput,
    NotFound,
    TooLarge,
    UTDStreamException,
)
from utd_core.media import AudioFormat, AudioFrame, PushAudioSource, VideoFrame
from utd_core.media.events import DataReceived
from utd_core.media.sources.base import AudioSourceBase
from utd_core.model.codec import dump
from utd_core.model.commands import GetRoom
from utd_core.model.permission import TrackSource
from utd_core.model.seats import SeatMode
from utd_core.model.session import SessionState

from ..model.world import says_what_to_do
from .world import ROOM, World, now

HUGE = 10**30
NAMES: dict[str, Any] = {
    "empty": "",
    "blank": " ",
    "oversized": "x" * 129,
    "nul": "a\x00b",
    "line_break": "a\nb",
    "right_to_left": "a\u202eb",
    "reserved": "$server",
    "number": 7,
    "bytes": b"ann",
    "nothing": None,
}

Attempt = Callable[[UTDAudioRoomSession], Awaitable[object]]


async def is_refused(
    world: World,
    operation: Callable[[], Awaitable[object]],
    code: str,
    kind: type[UTDStreamException] = InvalidInput,
) -> None:
    """It is one error of this kind and code, in words that say what to do; the room is what it was."""
    before = await state(world)
    with pytest.raises(kind) as caught:
        await world.run(operation())
    assert caught.value.code == code, caught.value
    assert is_helpful(caught.value), caught.value
    await world.settle()
    assert await state(world) == before


def is_helpful(error: UTDStreamException) -> bool:
    """Whether the message names a next step, or what would have been right."""
    return says_what_to_do(error) or any(word in error.message for word in ("must", "may", "should", "takes"))


async def state(world: World) -> object:
    try:
        snapshot = await world.engine.execute(GetRoom(room=ROOM))
    except NotFound:
        return None
    people = {
        identity: [(track.info.source, track.info.muted) for track in participant.tracks]
        for identity, participant in world.backend.server.rooms[ROOM].participants.items()
    }
    return dump(snapshot.room), snapshot.participants, people


@pytest.mark.parametrize("shows", NAMES)
async def test_a_malformed_identity(world: World, shows: str) -> None:
    host = await world.audio_room("host", as_host=True)
    bad = NAMES[shows]
    if bad is not None:
        with pytest.raises(InvalidInput) as caught:
            world.new_client(bad)
        assert caught.value.code == "invalid_identity"
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: host.kick(bad),
        lambda: host.mute(bad),
    ]
    if bad is not None:
        attempts.append(lambda: host.invite_to_speak(bad))
    for attempt in attempts:
        await is_refused(world, attempt, "invalid_identity")


@pytest.mark.parametrize("shows", NAMES)
async def test_a_malformed_room_name(world: World, shows: str) -> None:
    client = await world.client("ann")
    bad = NAMES[shows]
    await is_refused(world, lambda: client.join_audio_room(bad, as_host=True), "invalid_name")
    await is_refused(world, lambda: client.join_live_stream(bad, as_host=True), "invalid_name")
    assert world.backend.server.rooms == {}


@pytest.mark.parametrize("unknown", ["disco", "", "audio_room", "live_stream", 7, None])
async def test_a_type_that_is_no_call(world: World, unknown: Any) -> None:
    client: UTDStreamClient = await world.client("ann")
    with pytest.raises(InvalidInput) as caught:
        client.call_session(unknown)
    assert is_helpful(caught.value)


@pytest.mark.parametrize("unknown", ["chaos", "", 7])
async def test_an_unknown_mode(world: World, unknown: Any) -> None:
    client = await world.client("ann")
    await is_refused(world, lambda: client.join_audio_room(ROOM, as_host=True, seat_mode=unknown), "invalid_input")
    host = await world.audio_room("host", as_host=True)
    await is_refused(world, lambda: host.setup_seats(4, unknown), "invalid_input")


SEATS: dict[str, Attempt] = {
    "take": lambda session: session.take_seat(8),
    "take_negative": lambda session: session.take_seat(-1),
    "take_huge": lambda session: session.take_seat(HUGE),
    "move": lambda session: session.move_seat(8, identity="guest"),
    "lock": lambda session: session.lock_seat(-1),
    "unlock": lambda session: session.unlock_seat(HUGE),
    "mute": lambda session: session.mute_seat(8),
    "clear": lambda session: session.clear_seat(99),
    "reserve": lambda session: session.reserve_seat(8, "guest"),
    "swap": lambda session: session.swap_seats(0, 8),
    "ask": lambda session: session.request_to_speak(8),
    "invite": lambda session: session.invite_to_speak("listener", 8),
}


@pytest.mark.parametrize("what", SEATS)
async def test_a_seat_that_does_not_exist(world: World, what: str) -> None:
    host, guest = await world.audio_room("host", as_host=True), await world.audio_room("guest")
    await world.audio_room("listener")
    await world.run(guest.take_seat(0))
    await is_refused(world, lambda: SEATS[what](host), "seat_out_of_range")


@pytest.mark.parametrize("count", [0, 101, -1, HUGE, 1.5, "8", True])
async def test_a_seat_count_that_cannot_be(world: World, count: Any) -> None:
    client = await world.client("ann")
    await is_refused(world, lambda: client.join_audio_room(ROOM, as_host=True, seat_count=count), "invalid_input")
    host = await world.audio_room("host", as_host=True)
    await is_refused(world, lambda: host.setup_seats(count), "invalid_input")
    assert len(now(host.seats).seats) == 8


async def test_a_call_to_oneself(world: World) -> None:
    alice = await world.caller("alice")
    with pytest.raises(InvalidInput) as caught:
        await world.run(alice.start("alice"))
    assert caught.value.code == "call_to_self"
    assert says_what_to_do(caught.value)
    assert now(alice.status) is None
    assert now(alice.state) is SessionState.DISCONNECTED
    assert world.backend.server.rooms == {}
    await world.run(alice.start("bob"))


ACTIONS: dict[str, Attempt] = {
    "take": lambda session: session.take_seat(0),
    "lock": lambda session: session.lock_seat(0),
    "ask": lambda session: session.request_to_speak(),
    "approve": lambda session: session.approve_speaker(1),
    "kick": lambda session: session.kick("guest"),
    "end": lambda session: session.end_room(),
    "data": lambda session: session.send_data(b"x"),
    "microphone": lambda session: session.set_microphone(True),
}


@pytest.mark.parametrize("action", ACTIONS)
async def test_an_action_on_a_room_that_ended(world: World, action: str) -> None:
    host, guest = await world.audio_room("host", as_host=True), await world.audio_room("guest")
    await guest.request_to_speak()
    await world.run(host.end_room())
    await world.settle()
    assert now(guest.state) is SessionState.DISCONNECTED
    before = dump((await world.engine.execute(GetRoom(room=ROOM))).room)
    for session in (host, guest):
        with pytest.raises(Conflict) as caught:
            await world.run(ACTIONS[action](session))
        assert caught.value.code in ("not_joined", "room_ended")
        assert is_helpful(caught.value), caught.value
    assert dump((await world.engine.execute(GetRoom(room=ROOM))).room) == before


ANSWERS: dict[str, Attempt] = {
    "approve": lambda session: session.approve_speaker(99),
    "reject": lambda session: session.reject_speaker(99),
    "cancel": lambda session: session.cancel_request(99),
    "accept": lambda session: session.accept_invitation(99),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_action_on_an_unknown_request(world: World, answer: str) -> None:
    host = await world.audio_room("host", as_host=True)
    await is_refused(world, lambda: ANSWERS[answer](host), "request_not_found", NotFound)


async def test_an_action_that_was_done_already(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_mode": SeatMode.REQUEST})
    guest = await world.audio_room("guest")
    request = await guest.request_to_speak()
    await is_refused(world, guest.request_to_speak, "request_pending", Conflict)
    await world.run(host.approve_speaker(request.id))
    await world.clock.advance(1.0)
    await is_refused(world, lambda: host.approve_speaker(request.id), "request_ended", Conflict)
    await is_refused(world, lambda: host.reject_speaker(request.id), "request_ended", Conflict)
    await is_refused(world, lambda: guest.take_seat(3), "already_seated", Conflict)
    await world.run(host.lock_seat(5))
    await is_refused(world, lambda: host.lock_seat(5), "seat_locked", Conflict)
    await world.run(guest.leave_seat())
    await is_refused(world, guest.leave_seat, "not_seated", Conflict)


async def test_an_action_that_was_done_already_on_stage(world: World) -> None:
    host: UTDLiveStreamSession = await world.live_stream("host", as_host=True)
    await world.live_stream("viewer")
    await world.run(host.invite_to_stage("viewer"))
    await is_refused(world, lambda: host.invite_to_stage("viewer"), "already_on_stage", Conflict)
    await world.run(host.remove_from_stage("viewer"))
    await is_refused(world, lambda: host.remove_from_stage("viewer"), "not_on_stage", Conflict)


@pytest.mark.parametrize(
    "frame",
    [
        AudioFrame(bytes(640), 16_000),
        AudioFrame(bytes(3_840), 48_000, 2),
        VideoFrame(bytes(4 * 4 * 3 // 2), 4, 4),
        b"pcm",
    ],
    ids=["another_rate", "another_shape", "a_picture", "no_frame"],
)
async def test_a_frame_of_the_wrong_shape_or_rate(world: World, frame: Any) -> None:
    host = await world.audio_room("host", as_host=True)
    source = PushAudioSource()
    await world.run(host.take_seat(0, publish=False))
    await world.settle()
    await host.set_microphone(True, source)

    async def push() -> None:
        source.push(frame)

    await is_refused(world, push, "invalid_frame", InvalidFrame)
    assert source.statistics().accepted == 0
    assert now(host.room.publishing) == {TrackSource.MICROPHONE}


class Liar(AudioSourceBase):
    """Says 48 kHz, and after one frame gives another rate."""

    def __init__(self) -> None:
        super().__init__(48_000, 1, 20)
        self.frames = [AudioFrame(bytes(1_920), 48_000), AudioFrame(bytes(640), 16_000)]

    async def read(self) -> AudioFrame | None:
        return self.frames.pop(0) if self.frames else None


async def test_a_source_that_changes_its_rate_ends_its_track_and_no_other(world: World) -> None:
    host, guest = await world.audio_room("host", as_host=True), await world.audio_room("guest")
    await world.run(guest.take_seat(1))
    await world.run(host.take_seat(0, publish=False))
    await world.settle()
    events = host.events.reader()
    await host.set_microphone(True, Liar())
    await world.clock.advance(1.0)
    ended = [event for event in iter(events.get_nowait, None) if isinstance(event, PublishingEnded)]
    assert [str(event.reason) for event in ended] == ["failed"]
    assert now(host.room.publishing) == frozenset()
    assert now(guest.room.publishing) == {TrackSource.MICROPHONE}
    await host.set_microphone(True)
    assert now(host.room.publishing) == {TrackSource.MICROPHONE}


async def test_data_above_the_limit(world: World) -> None:
    host, guest = await world.audio_room("host", as_host=True), await world.audio_room("guest")
    events = guest.events.reader()
    most = world.backend.capabilities.max_data_bytes
    await is_refused(world, lambda: host.send_data(bytes(most + 1)), "too_large", TooLarge)
    await host.send_data(bytes(most))
    await world.settle()
    received = [event for event in iter(events.get_nowait, None) if isinstance(event, DataReceived)]
    assert len(received) == 1


def test_a_format_that_no_frame_can_have() -> None:
    for wrong in ({"sample_rate": 22_050}, {"channels": 3}):
        with pytest.raises(InvalidInput, match="must be"):
            AudioFormat(**wrong)
