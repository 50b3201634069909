"""The media server ends with exactly what the model grants, whatever happens on the way (B5)."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.media.backend import PublishOptions
from utd_core.media.faults import Fault
from utd_core.model.commands import (
    ClearSeat,
    EndRoom,
    GoLive,
    LeaveSeat,
    LockSeat,
    MoveSeat,
    MuteSeat,
    OverrideCapability,
    PromoteToStage,
    RemoveParticipant,
    StopLive,
    TakeSeat,
    UnmuteSeat,
)
from utd_core.model.permission import Grant, TrackSource
from utd_core.model.roles import Capability, Role
from utd_core.model.stream_type import UTDStreamType

from .world import ROOM, World

LIVE_STREAM = UTDStreamType.LIVE_STREAM


@pytest.mark.parity("B5", "U15", "U20")
async def test_a_seat_lets_speak_and_its_loss_silences(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    assert not guest.may_speak()
    await guest.do(TakeSeat(room=ROOM, index=0))
    await world.settle()
    assert guest.may_speak()
    await guest.do(MoveSeat(room=ROOM, index=4))
    await world.settle()
    assert guest.may_speak()
    await host.do(MuteSeat(room=ROOM, index=4))
    await world.settle()
    assert not guest.may_speak()
    await host.do(UnmuteSeat(room=ROOM, index=4))
    await world.settle()
    assert guest.may_speak()
    await host.do(LockSeat(room=ROOM, index=4))
    await world.settle()
    assert not guest.may_speak()


async def test_a_ticket_carries_the_grant_of_its_moment(world: World) -> None:
    await world.room()
    guest = world.person("guest")
    await guest.join(connect=False)
    await guest.do(TakeSeat(room=ROOM))
    await guest.join()
    assert guest.may_speak()
    assert world.calls("apply_grant", "guest") == 1, "one try before he was there, none after"


async def test_a_grant_that_changed_between_ticket_and_connection_is_mended(world: World) -> None:
    host = await world.room()
    guest = world.person("guest")
    await guest.join(connect=False)
    await guest.do(TakeSeat(room=ROOM, index=1))
    await guest.connect()
    assert guest.may_speak()
    later = world.person("later")
    await later.join(connect=False)
    await later.do(TakeSeat(room=ROOM, index=2))
    ticket = await later.join(connect=False)
    await host.do(ClearSeat(room=ROOM, index=2))
    await later.connect(ticket)
    assert not later.may_speak()


async def test_an_old_ticket_brings_no_seat_back_that_was_lost(world: World) -> None:
    """In the place of the connection that is there, so that nothing but the ticket tells the two apart."""
    await world.room()
    guest = await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=1))
    old = await guest.join()
    assert guest.may_speak()
    await guest.do(LeaveSeat(room=ROOM))
    await world.settle()
    for ticket in (old, await guest.join(connect=False), old):
        await guest.connect(ticket)
        assert not guest.may_speak()


async def test_somebody_whose_coming_was_not_told_is_looked_at_when_he_publishes_what_he_may_not(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=1))
    old = await guest.join()
    await guest.do(LeaveSeat(room=ROOM))
    await world.settle()
    await world.fault(Fault.NOTIFICATIONS_LOST, times=2)  # of the connection that goes, and of the one that comes
    connection = await guest.connect(old)
    assert guest.may_speak()
    await connection.publish(PublishOptions(TrackSource.MICROPHONE))
    await world.advance(1)
    assert not guest.may_speak()


async def test_a_grant_that_changed_while_notifications_are_lost_is_mended_at_the_next_look(world: World) -> None:
    await world.room()
    guest = world.person("guest")
    await guest.join(connect=False)
    await world.fault(Fault.NOTIFICATIONS_LOST, times=5)
    await guest.do(TakeSeat(room=ROOM))
    await guest.connect()
    await world.advance(30)
    assert guest.may_speak()


async def test_the_audience_costs_the_backend_no_grant(world: World) -> None:
    await world.room()
    for number in range(20):
        await world.guest(f"guest-{number}")
    await world.advance(100)
    assert world.calls("apply_grant") == 0


async def test_a_seat_command_touches_only_those_it_concerns(world: World) -> None:
    host = await world.room()
    for number in range(20):
        await world.guest(f"guest-{number}")
    await host.do(TakeSeat(room=ROOM))
    await world.settle()
    assert world.calls("apply_grant") == world.calls("apply_grant", "host") == 1


@pytest.mark.parity("B5")
async def test_a_failing_backend_is_tried_again_until_the_grant_holds(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await world.fault(Fault.GRANT_FAILURE, "guest", times=4)
    await guest.do(TakeSeat(room=ROOM))
    await world.settle()
    assert not guest.may_speak()
    statistics = world.engine.statistics()
    assert statistics.reconcile_waiting == 1
    assert statistics.reconcile_failures == 1
    await world.advance(1.0)
    assert not guest.may_speak()
    assert world.engine.statistics().reconcile_lag == pytest.approx(1.0)
    await world.advance(2.1)
    assert guest.may_speak()
    statistics = world.engine.statistics()
    assert (statistics.reconcile_waiting, statistics.reconcile_failures) == (0, 4)
    assert statistics.reconcile_lag_max == pytest.approx(0.2 + 0.4 + 0.8 + 1.6)
    assert world.calls("apply_grant", "guest") == 5


async def test_a_failing_backend_keeps_no_command_waiting(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    await world.fault(Fault.GRANT_FAILURE, "guest", times=1000)
    for _ in range(10):
        await guest.do(TakeSeat(room=ROOM))
        await guest.do(LeaveSeat(room=ROOM))
    await host.do(TakeSeat(room=ROOM))
    await world.settle()
    assert host.may_speak()


async def test_changes_that_come_together_are_applied_once(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    changes = [TakeSeat(room=ROOM), LeaveSeat(room=ROOM)] * 20
    await asyncio.gather(*map(guest.do, [*changes, TakeSeat(room=ROOM)]))
    await world.settle()
    assert guest.may_speak()
    assert world.calls("apply_grant", "guest") == 1


async def test_a_foreign_hand_on_a_grant_is_undone(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await world.media.control.apply_grant(ROOM, "guest", Grant(publish=frozenset({*Grant().publish, "microphone"})))  # type: ignore[arg-type]  # the mock takes its wire value
    await world.advance(31)
    assert not guest.may_speak()


@pytest.mark.parity("B5")
async def test_who_is_removed_is_disconnected_and_an_old_ticket_does_not_help(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    await host.do(RemoveParticipant(room=ROOM, identity="guest"))
    await world.settle()
    assert not guest.is_connected()
    await guest.connect()
    await world.settle()
    assert not guest.is_connected()
    assert await world.count() == 1
    await guest.join()
    assert guest.is_connected(), "he was not banned; a new ticket is another matter"


async def test_who_is_removed_before_connecting_stays_out(world: World) -> None:
    host, guest = await world.room(), world.person("guest")
    await guest.join(connect=False)
    await host.do(RemoveParticipant(room=ROOM, identity="guest", block=True))
    await guest.connect()
    await world.settle()
    assert not guest.is_connected()


async def test_a_removal_that_failed_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from utd_core.errors import MediaError

    host, guest = await world.room(), await world.guest("guest")
    control = type(world.engine.backend.control)

    async def fail(*args: object) -> None:
        raise MediaError("away")

    with monkeypatch.context() as patched:
        patched.setattr(control, "remove_participant", fail)
        await host.do(RemoveParticipant(room=ROOM, identity="guest"))
        await world.advance(3)
        assert guest.is_connected()
    await world.advance(10)
    assert not guest.is_connected()


async def test_a_removal_under_way_does_not_hit_who_joins_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    host, guest = await world.room(), await world.guest("guest")
    control = type(world.engine.backend.control)
    original, gate = control.remove_participant, asyncio.Event()

    async def slow(self: object, room: str, identity: str) -> None:
        await gate.wait()
        await original(self, room, identity)  # type: ignore[arg-type]  # it is the control

    monkeypatch.setattr(control, "remove_participant", slow)
    await host.do(RemoveParticipant(room=ROOM, identity="guest"))
    await world.settle()
    again = asyncio.ensure_future(guest.join())
    await world.settle()
    gate.set()
    await again
    await world.advance(90)
    assert guest.is_connected()
    assert await world.count() == 2


async def test_an_ended_room_is_closed_even_if_that_fails_at_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from utd_core.errors import MediaError

    host = await world.room()
    control = type(world.engine.backend.control)

    async def fail(*args: object) -> None:
        raise MediaError("away")

    with monkeypatch.context() as patched:
        patched.setattr(control, "close_room", fail)
        await world.server_does(EndRoom(room=ROOM))
        await world.advance(1)
        assert host.is_connected()
    await world.advance(10)
    assert not host.is_connected()
    assert ROOM not in world.server.rooms


async def test_those_of_an_ended_room_are_not_in_the_new_room_of_its_name(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    end = asyncio.ensure_future(world.server_does(EndRoom(room=ROOM)))
    new = asyncio.ensure_future(world.room("other"))
    await end
    other = await new
    await world.advance(60)
    assert not host.is_connected()
    assert not guest.is_connected()
    assert other.is_connected()
    assert await world.count() == 1


@pytest.mark.parity("S1")
async def test_backstage_silences_the_audience_and_going_live_brings_it_back(world: World) -> None:
    host = world.person("host")
    await host.join(type=LIVE_STREAM, as_host=True)
    viewer = world.person("viewer")
    await viewer.join(type=LIVE_STREAM)
    await host.do(PromoteToStage(room=ROOM, identity="viewer"))
    await world.settle()
    assert viewer.may_speak()
    await host.do(StopLive(room=ROOM))
    await world.settle()
    assert viewer.is_connected()
    assert world.grant("viewer") == Grant(subscribe=False, publish_data=False)
    assert world.may_speak("host")
    await host.do(GoLive(room=ROOM))
    await world.settle()
    assert world.grant("viewer").subscribe


@pytest.mark.parity("S2")
async def test_a_capability_of_a_whole_role_reaches_everybody_who_has_it(world: World) -> None:
    host = await world.room()
    guests = [await world.guest(f"guest-{number}") for number in range(5)]
    await host.do(OverrideCapability(room=ROOM, role=Role.AUDIENCE, capability=Capability.SEND_DATA, allowed=False))
    await world.settle()
    assert not any(world.grant(guest.identity).publish_data for guest in guests)
    assert world.grant("host").publish_data


async def test_no_grant_is_set_by_anybody_but_the_reconciler(world: World) -> None:
    """What was applied is what the model says, for everybody and at every settled moment."""
    from utd_core.model.grants import grant_of

    host = await world.room(seat_count=4)
    guests = [await world.guest(f"guest-{number}") for number in range(3)]
    for number, guest in enumerate(guests):
        await guest.do(TakeSeat(room=ROOM, index=number))
        await host.do(MuteSeat(room=ROOM, index=number))
        await world.settle()
        room = await world.state()
        for identity in world.connected():
            assert world.grant(identity) == grant_of(room, identity)
