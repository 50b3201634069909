"""Audio rooms: whoever holds a seat is heard."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.client import UTDAudioRoomSession, UTDSeatGrid
from utd_core.errors import Conflict, DeadlineExceeded, Forbidden, InvalidInput, Superseded
from utd_core.media.faults import Fault
from utd_core.model.permission import TrackSource
from utd_core.model.request import RequestKind, RequestState
from utd_core.model.roles import Capability, Role
from utd_core.model.room import Phase
from utd_core.model.seats import SeatMode, SeatState

from .world import ROOM, World, held_by, now

MICROPHONE = frozenset({TrackSource.MICROPHONE})
NOTHING: frozenset[TrackSource] = frozenset()

pytestmark = pytest.mark.parity("U15")


def is_heard(session: UTDAudioRoomSession) -> bool:
    return now(session.room.publishing) == MICROPHONE


async def test_taking_a_seat_opens_the_microphone_and_leaving_it_closes_it(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    seat = await world.run(host.take_seat(2))
    assert (seat.index, seat.identity) == (2, "host")
    assert is_heard(host)
    assert host.seat == seat
    assert now(host.can_publish)
    async with listener.frames("host") as frames:
        heard = await world.run(anext(frames))
        assert any(heard.data)
    await world.run(host.leave_seat())
    assert not is_heard(host)
    await world.settle()
    assert held_by(host) is None
    assert not now(host.can_publish)
    assert await world.published("host") == ()


async def test_a_listener_takes_any_free_seat(world: World) -> None:
    await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    assert (await world.run(listener.take_seat())).index == 0
    assert is_heard(listener)


async def test_publish_false_takes_the_seat_alone(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.run(host.take_seat(0, publish=False))
    await world.settle()
    assert held_by(host) is not None
    assert not is_heard(host)
    await host.set_microphone(True)
    assert is_heard(host)


async def test_a_seat_whose_audio_is_locked_is_taken_without_waiting_for_a_grant_that_never_comes(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await host.lock_seat(0, take=False, audio=True)
    seat = await host.take_seat(0)
    assert seat.audio_locked
    assert not is_heard(host)


@pytest.mark.parity("U16")
async def test_seats_is_typed_and_follows_everybody_without_asking(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_count": 3})
    listener = await world.audio_room("listener")
    seen: list[tuple[str | None, ...]] = []
    listener.seats.subscribe(lambda grid: seen.append(tuple(seat.identity for seat in grid.seats)))
    await world.run(host.take_seat(0))
    await world.settle()
    await host.move_seat(2)
    await world.settle()
    grid = listener.seats.value
    assert isinstance(grid, UTDSeatGrid)
    assert [seat.state for seat in grid.seats] == [SeatState.EMPTY, SeatState.EMPTY, SeatState.OCCUPIED]
    assert seen == [("host", None, None), (None, None, "host")]
    assert await listener.get_seats() == grid
    await listener.seats.wait_for(lambda grid: grid.seat_of("host") is not None, timeout=1.0)


async def test_setup_seats_changes_number_and_mode(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_count": 2})
    grid = await host.setup_seats(4, SeatMode.REQUEST, "interview")
    assert (len(grid.seats), grid.mode, grid.mode_id) == (4, SeatMode.REQUEST, "interview")
    await world.settle()
    assert now(host.seats) == grid
    listener = await world.audio_room("listener")
    with pytest.raises(Forbidden):
        await listener.setup_seats(8)


async def test_moderating_seats(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_count": 4})
    one, two = await world.audio_room("one"), await world.audio_room("two")
    await world.run(one.take_seat(0))
    await world.run(two.take_seat(1))
    grid = await host.swap_seats(0, 1)
    assert [seat.identity for seat in grid.seats] == ["two", "one", None, None]
    assert (await host.move_seat(3, identity="two")).index == 3
    assert (await host.mute_seat(3)).muted_audio
    assert not (await host.unmute_seat(3)).muted_audio
    assert (await host.reserve_seat(0, "two")).reserved_for == "two"
    assert (await host.reserve_seat(0, None)).reserved_for is None
    assert (await host.lock_seat(2)).locked
    assert not (await host.unlock_seat(2)).locked
    assert (await host.clear_seat(1)).identity is None
    await world.settle()
    assert not is_heard(one)
    assert held_by(one) is None
    with pytest.raises(Forbidden):
        await one.clear_seat(3)


async def test_a_moderators_mute_closes_the_microphone_and_unmuting_does_not_open_it(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    speaker = await world.audio_room("speaker")
    await world.run(speaker.take_seat(0))
    await host.mute_seat(0)
    await world.settle()
    assert not is_heard(speaker)
    with pytest.raises(Forbidden):
        await speaker.set_microphone(True)
    await host.unmute_seat(0)
    await world.settle()
    assert not is_heard(speaker)
    await speaker.set_microphone(True)
    assert is_heard(speaker)


@pytest.mark.parity("U22")
async def test_an_approved_request_opens_the_microphone_by_itself(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_mode": SeatMode.REQUEST})
    listener = await world.audio_room("listener")
    with pytest.raises(Forbidden) as caught:
        await listener.take_seat(0)
    assert caught.value.code == "seats_by_request"
    request = await listener.request_to_speak(3)
    assert (request.kind, request.sender, request.seat_index) == (RequestKind.SPEAK, "listener", 3)
    await world.settle()
    assert now(host.requests) == (request,)
    accepted = await host.approve_speaker(request.id)
    assert accepted.state is RequestState.ACCEPTED
    await world.until(lambda: is_heard(listener))
    assert now(host.requests) == ()
    assert held_by(listener) is not None
    assert listener.seats.value.seats[3].identity == "listener"


async def test_an_approved_request_opens_nothing_when_it_was_not_asked_to(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_mode": SeatMode.REQUEST})
    listener = await world.audio_room("listener")
    request = await listener.request_to_speak(publish=False)
    await host.approve_speaker(request.id, seat_index=1)
    await world.settle()
    assert held_by(listener) is not None
    assert not is_heard(listener)


async def test_a_rejected_request_ends_with_a_reason(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_mode": SeatMode.REQUEST})
    listener = await world.audio_room("listener")
    request = await listener.request_to_speak()
    rejected = await host.reject_speaker(request.id, reason="later")
    assert (rejected.state, rejected.reason, rejected.ended_by) == (RequestState.REJECTED, "later", "host")
    await world.settle()
    assert now(listener.requests) == ()
    assert len(listener._awaited) == 0


async def test_an_invitation_is_accepted_with_the_microphone_open_or_declined(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    first = await host.invite_to_speak("listener", 5)
    await world.settle()
    assert now(listener.requests) == (first,)
    declined = await listener.decline_invitation(first.id)
    assert declined.state is RequestState.REJECTED
    second = await host.invite_to_speak("listener", seat_index=5)
    accepted = await world.run(listener.accept_invitation(second.id))
    assert accepted.state is RequestState.ACCEPTED
    assert is_heard(listener)
    with pytest.raises(Conflict):
        await host.invite_to_speak("listener")
    with pytest.raises(Forbidden):
        await listener.invite_to_speak("host")


@pytest.mark.parity("U22")
async def test_the_grant_wait_ends_with_its_deadline_and_keeps_the_seat(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.fault(Fault.GRANT_DELAY, ROOM, "host", seconds=60.0)
    taking = asyncio.ensure_future(host.take_seat(0, grant_timeout=5.0))
    await world.clock.advance(4.9)
    assert not taking.done()
    await world.clock.advance(0.2)
    with pytest.raises(DeadlineExceeded) as caught:
        await taking
    assert caught.value.code == "grant_timeout"
    assert held_by(host) is not None
    assert not is_heard(host)
    with pytest.raises(Forbidden):
        await host.set_microphone(True)
    await world.clock.advance(60.0)
    assert not is_heard(host)
    await host.set_microphone(True)
    assert is_heard(host)


@pytest.mark.parity("U22")
@pytest.mark.parametrize("opposite", ["leave_seat", "mute", "leave", "aclose"])
async def test_an_opposite_operation_during_the_grant_wait_leaves_no_microphone_open(
    world: World, opposite: str
) -> None:
    host = await world.audio_room("host", as_host=True)
    await world.fault(Fault.GRANT_DELAY, ROOM, "host", seconds=3.0)
    taking = asyncio.ensure_future(host.take_seat(0))
    await world.settle()
    assert not taking.done()
    match opposite:
        case "leave_seat":
            await world.run(host.leave_seat())
        case "mute":
            await host.set_microphone(False)
        case "leave":
            await world.run(host.leave())
        case _:
            await world.run(host.aclose())
    with pytest.raises(Superseded):
        await taking
    await world.clock.advance(30.0)
    assert now(host.room.publishing) == NOTHING
    assert await world.published("host") == ()


@pytest.mark.parity("U22")
async def test_being_evicted_during_the_grant_wait_ends_it(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    await world.fault(Fault.GRANT_DELAY, ROOM, "listener", seconds=3.0)
    taking = asyncio.ensure_future(listener.take_seat(0))
    await world.settle()
    await host.clear_seat(0)
    with pytest.raises(Superseded, match="taken away"):
        await world.run(taking)
    await world.clock.advance(10.0)
    assert not is_heard(listener)


@pytest.mark.parity("U22")
@pytest.mark.parametrize("opposite", ["cancel_request", "mute", "leave"])
async def test_an_approval_that_comes_after_an_opposite_operation_opens_nothing(world: World, opposite: str) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_mode": SeatMode.REQUEST})
    listener = await world.audio_room("listener")
    request = await listener.request_to_speak(0)
    match opposite:
        case "cancel_request":
            assert (await listener.cancel_request(request.id)).state is RequestState.CANCELLED
        case "mute":
            await listener.set_microphone(False)
        case _:
            await world.run(listener.leave())
    if opposite == "mute":
        await host.approve_speaker(request.id)
    else:
        with pytest.raises(Conflict):
            await host.approve_speaker(request.id)
    await world.clock.advance(10.0)
    assert not is_heard(listener)


@pytest.mark.parity("U22")
async def test_approve_while_the_requester_leaves_seats_nobody_or_somebody_who_is_gone_a_moment_later(
    world: World,
) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_mode": SeatMode.REQUEST})
    listener = await world.audio_room("listener")
    request = await listener.request_to_speak(0)
    approved, left = await asyncio.gather(
        host.approve_speaker(request.id), world.run(listener.leave()), return_exceptions=True
    )
    assert left is None
    assert not isinstance(approved, BaseException) or isinstance(approved, Conflict)
    await world.clock.advance(5.0)
    assert now(listener.room.publishing) == NOTHING
    assert now(host.seats).occupants() == {}
    assert now(host.requests) == ()


@pytest.mark.parity("U22")
async def test_two_takes_of_one_seat_give_it_to_one(world: World) -> None:
    await world.audio_room("host", as_host=True)
    one, two = await world.audio_room("one"), await world.audio_room("two")
    results = await asyncio.gather(world.run(one.take_seat(0)), world.run(two.take_seat(0)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Seat"]
    assert [is_heard(one), is_heard(two)].count(True) == 1


@pytest.mark.parity("U22")
async def test_a_seat_taken_again_at_once_is_heard_although_the_old_grant_was_still_on_its_way_out(
    world: World,
) -> None:
    host = await world.audio_room("host", as_host=True)

    async def one_track() -> bool:
        return len(await world.published("host")) == 1

    for delay in (0.0, 0.5):
        await world.fault(Fault.GRANT_DELAY, ROOM, "host", seconds=delay)
        for _ in range(5):
            await world.run(host.take_seat(0))
            await world.run(host.leave_seat())
            await world.run(host.take_seat(1))
            await world.clock.advance(5.0)
            await world.until(lambda: is_heard(host), what="the host is heard")
            await world.until(one_track, what="one track of the host")
            await world.run(host.leave_seat())


async def test_kicking_ends_the_session_of_the_one_who_is_kicked(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    noisy = await world.audio_room("noisy")
    await world.run(noisy.take_seat(0))
    await host.kick("noisy", reason="too loud")
    await world.settle()
    assert not now(noisy.connected)
    end = noisy.ended.value
    assert end is not None
    assert end.reason == "removed"
    assert "too loud" in end.message
    await world.run(noisy.rejoin())
    assert now(noisy.connected)
    await host.kick("noisy", block=True, duration=60.0)
    await world.settle()
    end = noisy.ended.value
    assert end is not None
    assert end.reason == "banned"
    with pytest.raises(Forbidden) as caught:
        await noisy.rejoin()
    assert caught.value.is_banned
    await world.clock.advance(61.0)
    await world.run(noisy.rejoin())


async def test_ending_the_room_ends_every_session(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    await host.end_room("good night")
    await world.settle()
    for session in (host, listener):
        end = session.ended.value
        assert end is not None
        assert end.reason == "room_ended"
        assert now(session.phase) is Phase.ENDED
    with pytest.raises(Conflict) as caught:
        await listener.rejoin()
    assert caught.value.code == "room_ended"
    await world.run(host.rejoin())
    assert now(host.phase) is Phase.LIVE


async def test_roles_give_and_take_what_somebody_may(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    listener = await world.audio_room("listener")
    assert (now(host.role), now(listener.role)) == (Role.OWNER, Role.AUDIENCE)
    assert not listener.may(Capability.MUTE)
    await host.set_role("listener", Role.ADMIN)
    await world.settle()
    assert now(listener.role) is Role.ADMIN
    assert listener.may(Capability.MUTE)
    with pytest.raises(Forbidden) as caught:
        await listener.kick("host")
    assert caught.value.code == "outranked"


async def test_backstage_keeps_the_audience_out_until_the_host_goes_live(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"backstage": True})
    early = await world.client("early")
    with pytest.raises(Conflict) as caught:
        await early.join_audio_room(ROOM)
    assert caught.value.code == "room_not_live"
    assert now(host.phase) is Phase.BACKSTAGE
    await world.run(host.take_seat(0))
    await host.go_live()
    await world.settle()
    assert now(host.phase) is Phase.LIVE
    listener = await world.audio_room("late")
    await host.stop_live()
    await world.settle()
    assert now(listener.phase) is Phase.BACKSTAGE


async def test_metadata_reaches_everybody_and_is_guarded_by_its_revision(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"metadata": {"topic": "birds"}})
    listener = await world.audio_room("listener")
    assert now(listener.metadata) == {"topic": "birds"}
    revision = await host.update_metadata({"topic": "bees"})
    await world.settle()
    assert now(listener.metadata) == {"topic": "bees"}
    with pytest.raises(Conflict):
        await host.update_metadata({"topic": "cats"}, revision=revision - 1)


@pytest.mark.parametrize("index", [-1, 8, 99, 10**9])
async def test_a_seat_out_of_range_is_refused_and_changes_nothing(world: World, index: int) -> None:
    host = await world.audio_room("host", as_host=True)
    with pytest.raises(InvalidInput) as caught:
        await host.take_seat(index)
    assert caught.value.code == "seat_out_of_range"
    assert now(host.seats).occupants() == {}
