"""Who is there: by ticket, by notification, and by asking when in doubt."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc

import pytest

from utd_core.engine.media.presence import PlaceState, Presence
from utd_core.errors import Conflict
from utd_core.media.faults import Fault
from utd_core.model.commands import EndRoom, JoinRoom, LeaveRoom, ListParticipants, TakeSeat
from utd_core.model.room import DuplicateIdentity
from utd_core.model.stream_type import UTDStreamType

from .world import ROOM, World, codes, outcome, outcomes

AUDIO_ROOM = UTDStreamType.AUDIO_ROOM
NOW = 1_000.0


async def test_a_ticket_gives_a_place_and_a_leave_takes_it(world: World) -> None:
    await world.room()
    guest = world.person("guest")
    await guest.join(connect=False)
    assert await world.count() == 2
    await guest.leave()
    assert await world.count() == 1
    assert codes([await outcome(guest.leave())]) == ["not_joined"]


async def test_a_place_whose_connection_does_not_come_is_freed_when_the_ticket_has_expired(world: World) -> None:
    await world.room(max_participants=2)
    ghost = world.person("ghost")
    await ghost.join(connect=False)
    await ghost.do(TakeSeat(room=ROOM, index=1))
    assert codes([await outcome(world.guest("guest"))]) == ["room_full"]
    await world.advance(59)
    assert await world.count() == 2
    await world.advance(1)
    assert await world.count() == 1
    assert (await world.state()).grid.seats[1].identity is None
    await world.guest("guest")


async def test_a_connection_keeps_the_place_beyond_the_ticket(world: World) -> None:
    host = await world.room()
    await world.advance(300)
    assert host.is_connected()
    assert await world.count() == 1


async def test_who_closes_the_connection_is_gone_at_once(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=3))
    await guest.disconnect()
    await world.settle()
    assert await world.count() == 1
    assert (await world.state()).grid.seats[3].identity is None


async def test_who_loses_the_connection_keeps_the_seat_for_the_grace(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=3))
    await world.fault(Fault.NODE_FAILURE, "guest", seconds=0)
    await world.settle()
    assert "guest" not in world.connected()
    await world.advance(19)
    assert (await world.state()).grid.seats[3].identity == "guest"
    await world.advance(1.5)
    assert (await world.state()).grid.seats[3].identity is None
    assert await world.count() == 1


async def test_who_comes_back_within_the_grace_has_lost_nothing(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=3))
    await world.fault(Fault.NODE_FAILURE, "guest", seconds=0)
    await world.advance(15)
    await guest.join()
    await world.advance(60)
    assert (await world.state()).grid.seats[3].identity == "guest"
    assert guest.may_speak()


async def test_the_last_one_to_leave_makes_the_room_empty_and_time_ends_it(world: World) -> None:
    host = await world.room(empty_timeout=30.0)
    await host.leave()
    assert (await world.state()).empty_since == world.clock.now()
    await world.advance(30)
    assert (await world.state()).end_reason == "empty"


async def test_the_last_connection_that_breaks_off_makes_the_room_empty(world: World) -> None:
    host = await world.room()
    await host.disconnect()
    assert (await world.state()).empty_since == world.clock.now()


async def test_the_host_who_leaves_starts_the_grace_and_comes_back_in_time(world: World) -> None:
    host = await world.room(host_left_grace=10.0)
    await world.guest("guest")
    await host.disconnect()
    await world.advance(9)
    await host.join()
    await world.advance(20)
    assert (await world.state()).end_reason == ""
    await host.leave()
    await world.advance(10)
    assert (await world.state()).end_reason == "host_left"


@pytest.mark.parity("B9")
async def test_a_new_device_replaces_the_old_one(world: World) -> None:
    await world.room()
    phone = await world.guest("ann", device="phone")
    await phone.do(TakeSeat(room=ROOM, index=2))
    laptop = await world.guest("ann", device="laptop")
    await world.settle()
    assert laptop.is_connected()
    assert not phone.is_connected()
    await world.advance(120)
    assert await world.count() == 2
    assert (await world.state()).grid.seats[2].identity == "ann"
    assert laptop.may_speak()


@pytest.mark.parity("B9")
async def test_a_new_device_is_rejected(world: World) -> None:
    await world.room(duplicate_identity=DuplicateIdentity.REJECT)
    phone = await world.guest("ann", device="phone")
    with pytest.raises(Conflict) as caught:
        await world.guest("ann", device="laptop")
    assert caught.value.code == "already_joined"
    assert phone.is_connected()
    await phone.join(connect=False)
    await phone.leave()
    await world.guest("ann", device="laptop")


@pytest.mark.parity("B9")
async def test_many_devices_share_a_seat_and_the_last_one_to_leave_gives_it_up(world: World) -> None:
    await world.room(duplicate_identity=DuplicateIdentity.MANY)
    phone, laptop = await world.guest("ann", device="phone"), await world.guest("ann", device="laptop")
    assert {"ann#phone", "ann#laptop"} <= world.connected()
    await phone.do(TakeSeat(room=ROOM, index=2))
    await world.settle()
    assert phone.may_speak()
    assert laptop.may_speak()
    assert await world.count() == 2
    await phone.leave()
    await world.advance(5)
    assert not phone.is_connected()
    assert laptop.may_speak()
    await laptop.disconnect()
    assert await world.count() == 1
    assert (await world.state()).grid.seats[2].identity is None


async def test_the_same_device_may_ask_for_another_ticket_and_not_use_it(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM))
    await world.advance(1)
    await guest.join(connect=False)
    await world.advance(200)
    assert guest.may_speak()
    assert await world.count() == 2


async def test_a_ticket_of_somebody_who_left_lets_nobody_back_in(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await guest.leave()
    await guest.disconnect()
    await guest.connect()
    await world.settle()
    assert "guest" not in world.connected()
    assert await world.count() == 1


async def test_who_left_is_disconnected_if_he_does_not_do_it_himself(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    await guest.leave()
    assert guest.is_connected()
    await world.advance(2)
    assert not guest.is_connected()


async def test_who_left_and_joined_again_at_once_stays(world: World) -> None:
    await world.room()
    guest = await world.guest("guest")
    for _ in range(3):
        await guest.leave()
        await guest.join()
    await world.advance(120)
    assert guest.is_connected()
    assert await world.count() == 2


async def test_a_stranger_to_the_engine_is_shown_out(world: World) -> None:
    from utd_core.media.backend import JoinTicket
    from utd_core.model.permission import Grant

    await world.room()
    await world.advance(100)
    ticket: JoinTicket = await world.media.control.issue_join(ROOM, "eve", grant=Grant())
    connection = await world.media.connect(ticket)
    await world.settle()
    assert "eve" not in world.connected()
    await connection.aclose()


async def test_a_ticket_that_could_not_be_made_frees_the_place(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from utd_core.errors import MediaError

    await world.room(max_participants=2)
    control = world.engine.backend.control

    async def fail(*args: object, **named: object) -> None:
        raise MediaError("the media server is away")

    with monkeypatch.context() as patched:
        patched.setattr(type(control), "issue_join", fail)
        assert codes([await outcome(world.guest("guest"))]) == ["media_failed"]
    assert await world.count() == 1
    await world.guest("guest")


async def test_a_media_server_that_does_not_answer_is_not_waited_for_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.room(max_participants=2)
    control = type(world.engine.backend.control)

    async def never(*args: object, **named: object) -> None:
        await asyncio.get_running_loop().create_future()

    with monkeypatch.context() as patched:
        patched.setattr(control, "issue_join", never)
        join = asyncio.ensure_future(outcome(world.guest("guest")))
        await world.advance(10)
        assert codes([await join]) == ["deadline_exceeded"]
    assert await world.count() == 1
    await world.guest("guest")


@pytest.mark.parity("T3")
async def test_participants_are_listed_by_identity_in_pages(world: World) -> None:
    await world.room()
    for name in ("dan", "ann", "eve", "bob", "cat"):
        await world.guest(name, connect=False)
    page = await world.server_does(ListParticipants(room=ROOM, limit=4))
    assert [person.identity for person in page.data] == ["ann", "bob", "cat", "dan"]
    await world.person("abe").join(connect=False)
    await world.person("zoe").join(connect=False)
    await world.person("cat").leave()
    rest = await world.server_does(ListParticipants(room=ROOM, limit=4, cursor=page.next))
    assert [person.identity for person in rest.data] == ["eve", "host", "zoe"]
    assert rest.next is None
    assert rest.data[1].role == "owner"
    assert (rest.data[0].name, rest.data[0].devices) == ("Eve", ("default",))


async def test_the_room_is_full_for_all_but_the_ones_inside(world: World) -> None:
    await world.room(max_participants=3)
    results = await outcomes(*(world.guest(f"guest-{number}", connect=False) for number in range(5)))
    assert sorted(codes(results)) == ["ok", "ok"] + ["room_full"] * 3
    inside = next(person for person in results if not isinstance(person, Conflict))
    await inside.join()
    assert await world.count() == 3


async def test_nobody_is_in_a_room_that_ended(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    await world.server_does(EndRoom(room=ROOM))
    await world.settle()
    assert not host.is_connected()
    assert not guest.is_connected()
    assert ROOM not in world.server.rooms
    assert await world.count() == 0
    assert codes(await outcomes(guest.do(LeaveRoom(room=ROOM)), guest.do(JoinRoom(room=ROOM, type=AUDIO_ROOM)))) == [
        "room_ended",
        "room_ended",
    ]


def test_presence_is_a_mapping_of_devices() -> None:
    presence = Presence(many=True)
    presence.enter("ann", "phone", "Ann", NOW, NOW + 60)
    presence.enter("ann", "tv", "", NOW, NOW + 60)
    presence.enter("bob", "phone", "Bob", NOW, NOW + 60)
    assert dict(presence) == {"ann": ("phone", "tv"), "bob": ("phone",)}
    assert "ann" in presence
    assert "eve" not in presence
    assert presence.media_identities("ann") == ["ann#phone", "ann#tv"]
    assert presence.find("ann#tv") == ("ann", presence.place("ann", "tv"))
    assert presence.find("ann#fax") is None
    assert presence.split("a#b#c") == ("a#b", "c")


def test_places_wait_until_they_are_connected_or_overdue() -> None:
    presence = Presence()
    late = presence.enter("late", "d", "", NOW, NOW + 10)
    soon = presence.enter("soon", "d", "", NOW, NOW + 20)
    assert presence.next_due(NOW) == NOW + 10
    assert presence.has_overdue(NOW + 10)
    presence.connected(late, NOW + 1)
    assert not presence.has_overdue(NOW + 10)
    assert presence.next_due(NOW) == NOW + 20
    presence.missing("late", late, NOW + 2, NOW + 5)
    assert late.state is PlaceState.MISSING
    assert presence.next_due(NOW) == NOW + 5
    assert presence.drop("soon", soon)
    assert not presence.drop("soon", soon)


def test_what_was_changed_can_be_restored() -> None:
    presence = Presence()
    presence.enter("ann", "phone", "", NOW, NOW + 10)
    assert presence.page(None, 10) == ["ann"]
    member = presence.member("ann")
    assert member is not None
    places = member.places
    presence.enter("ann", "tv", "", NOW, NOW + 10)
    presence.restore("ann", member, places)
    assert presence["ann"] == ("phone",)
    presence.remove("ann")
    presence.restore("ann", member, places)
    assert presence.page(None, 10) == ["ann"]
    presence.enter("bob", "phone", "", NOW, NOW + 10)
    presence.restore("bob", None, ())
    assert presence.page(None, 10) == ["ann"]
    assert presence.has_overdue(NOW + 10)


@pytest.mark.parity("S4")
def test_an_audience_member_costs_less_than_half_a_kilobyte() -> None:
    count = 10_000
    tracemalloc.start()
    presence = Presence()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(count):
        identity, name = f"listener-number-{number:06d}", f"The Listener {number}"
        now = NOW + number
        presence.connected(presence.enter(identity, "default", name, now, now + 60), now)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(presence) == count
    assert (after - before) / count < 512, f"{(after - before) / count:.0f} bytes on Python {sys.version_info[:2]}"
