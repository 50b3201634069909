"""Notifications are hints: lost, doubled, late or reversed, the engine ends where it would have ended anyway."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from utd_core.media.events import DisconnectReason, Notification, NotificationKind
from utd_core.media.faults import Fault
from utd_core.model.commands import TakeSeat

from .world import ROOM, World

JOINED, LEFT = NotificationKind.PARTICIPANT_JOINED, NotificationKind.PARTICIPANT_LEFT

FAULTS = [
    (Fault.NOTIFICATIONS_LOST, {"times": 100}),
    (Fault.NOTIFICATIONS_DOUBLED, {"times": 100}),
    (Fault.NOTIFICATIONS_DELAYED, {"times": 100, "seconds": 7.0}),
    (Fault.NOTIFICATIONS_REVERSED, {"times": 2}),
    (Fault.NOTIFICATIONS_REVERSED, {"times": 3}),
    (Fault.NOTIFICATIONS_REVERSED, {"times": 4}),
]


@pytest.mark.parametrize(("fault", "parameters"), FAULTS)
@pytest.mark.parametrize("pause", [0.0, 0.5])
async def test_presence_heals_from(world: World, fault: Fault, parameters: dict[str, Any], pause: float) -> None:
    await world.room()
    await world.fault(fault, **parameters)
    stays, goes, returns = [await world.guest(name) for name in ("stays", "goes", "returns")]
    for number, person in enumerate((stays, goes, returns)):
        await person.do(TakeSeat(room=ROOM, index=number))
    await world.advance(pause)
    await goes.disconnect()
    await returns.disconnect()
    await world.advance(pause)
    await returns.join()
    await world.advance(90)
    state = await world.state()
    assert [seat.identity for seat in state.grid.seats[:2]] == ["stays", None]
    assert await world.count() == 3
    assert world.connected() == {"host", "stays", "returns"}
    assert stays.may_speak()


async def test_a_lost_notification_is_found_at_the_next_look_at_all_rooms(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await world.fault(Fault.NOTIFICATIONS_LOST, times=10)
    await guest.disconnect()
    assert await world.count() == 2
    await world.advance(30 + 20 + 1)
    assert await world.count() == 1


async def test_any_order_and_number_of_notifications_ends_in_the_truth(world: World) -> None:
    """Somebody came, went and came again; whatever of that is told, in whatever order, he is there."""
    await world.room()
    guest = await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=1))
    now = world.clock.now()
    told = [
        Notification("1", JOINED, ROOM, now - 2, "guest"),
        Notification("2", LEFT, ROOM, now - 1, "guest", reason=DisconnectReason.CLIENT_LEFT),
        Notification("3", JOINED, ROOM, now, "guest"),
    ]
    notice = world.engine._machinery.attendance.notice  # type: ignore[union-attr]  # it is open
    for count in range(1, 4):
        for order in itertools.product(told, repeat=count):
            for notification in order:
                notice(notification)
            await world.advance(0.1)
            assert await world.count() == 2, [notification.id for notification in order]
    await world.advance(60)
    assert (await world.state()).grid.seats[1].identity == "guest"
    assert guest.may_speak()


async def test_a_room_that_the_media_server_lost_is_made_anew(world: World) -> None:
    host = await world.room()
    await world.media.control.close_room(ROOM)
    await world.advance(1)
    assert ROOM in world.server.rooms
    await host.join()
    assert host.is_connected()


async def test_a_room_that_the_media_server_lost_without_a_word_is_made_anew(world: World) -> None:
    await world.room()
    await world.fault(Fault.NOTIFICATIONS_LOST, times=10)
    await world.media.control.close_room(ROOM)
    assert ROOM not in world.server.rooms
    await world.advance(31)
    assert ROOM in world.server.rooms


async def test_a_foreign_room_on_the_same_media_server_is_left_alone(world: World) -> None:
    from utd_core.media.backend import JoinTicket
    from utd_core.model.permission import Grant

    await world.room()
    await world.media.control.create_room("theirs")
    ticket: JoinTicket = await world.media.control.issue_join("theirs", "guest", grant=Grant())
    connection = await world.media.connect(ticket)
    await world.advance(120)
    assert "theirs" in world.server.rooms
    assert world.connected("theirs") == {"guest"}
    await connection.aclose()


async def test_notifications_that_break_off_are_listened_to_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from utd_core.media import notices

    await world.room()
    guest = await world.guest("guest")
    original = notices.NotificationStream.__anext__
    broken = False

    async def break_once(self: notices.NotificationStream) -> Notification:
        nonlocal broken
        notification = await original(self)
        if not broken:
            broken = True
            raise ConnectionResetError
        return notification

    monkeypatch.setattr(notices.NotificationStream, "__anext__", break_once)
    await guest.disconnect()
    late = await world.guest("late")
    await world.advance(25)
    assert broken
    assert await world.count() == 2
    await late.disconnect()
    assert await world.count() == 1
