from __future__ import annotations

import asyncio

import pytest

from utd_core.broker.base import Recover
from utd_core.errors import Banned, Closed, Conflict, Forbidden, InvalidInput, NotFound
from utd_core.model.bans import BanMade, BansChanged
from utd_core.model.call import CallStarted
from utd_core.model.commands import (
    CreateBan,
    EndRoom,
    GetRoom,
    LockSeat,
    MakeRequest,
    RemoveParticipant,
    SetRole,
    TakeSeat,
)
from utd_core.model.request import RequestKind, RequestMade
from utd_core.model.roles import Role
from utd_core.model.room import ParticipantRemoved, RoleChanged, Room, RoomEnded, apply
from utd_core.model.seats import SeatTaken

from .world import ROOM, World, codes, events, outcome, outcomes, waiting

CHANNEL = "private-room.room"


async def test_a_user_channel_is_its_users_alone(world: World) -> None:
    ann = world.person("ann")
    await ann.follow("private-user.ann")
    with pytest.raises(Forbidden):
        await ann.follow("private-user.bob")
    await world.engine.subscribe("private-user.bob")


async def test_a_rooms_channel_is_for_those_inside_and_its_moderators(world: World) -> None:
    host, guest, outsider = await world.room(), await world.guest("guest"), world.person("outsider")
    await guest.follow(CHANNEL)
    with pytest.raises(Conflict) as caught:
        await outsider.follow(CHANNEL)
    assert caught.value.code == "not_joined"
    await host.do(SetRole(room=ROOM, identity="outsider", role=Role.ADMIN))
    await outsider.follow(CHANNEL)
    await world.engine.subscribe(CHANNEL)
    with pytest.raises(NotFound):
        await world.engine.subscribe("private-room.nowhere")


async def test_a_calls_channel_is_its_parties(world: World) -> None:
    call = await world.person("ann").call("bob")
    channel = f"private-call.{call.call_id}"
    await world.person("ann").follow(channel)
    await world.person("bob").follow(channel)
    for stranger, name in ((world.person("eve"), channel), (world.person("ann"), "private-call.nothing")):
        with pytest.raises(NotFound):
            await stranger.follow(name)


@pytest.mark.parametrize(
    "channel", ["private-room.", "private-room.a\0", "private-room.\ud800", "private-user.\0", "private-call.\0"]
)
async def test_what_can_have_no_channel_is_refused_before_the_store_is_asked(world: World, channel: str) -> None:
    with pytest.raises(InvalidInput):
        await world.engine.subscribe(channel)
    with pytest.raises(InvalidInput):
        await world.person("ann").follow(channel)


@pytest.mark.parametrize("channel", ["", "room", "presence-x", "private-", "private-roomy", "x" * 10_000])
async def test_another_channel_is_none_of_the_engines(world: World, channel: str) -> None:
    with pytest.raises(InvalidInput):
        await world.engine.subscribe(channel)


@pytest.mark.parity("B4")
async def test_a_subscriber_can_follow_the_state_by_applying_events(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    subscription = await guest.follow(CHANNEL)
    snapshot = await guest.do(GetRoom(room=ROOM))
    room: Room = snapshot.room
    await asyncio.gather(
        guest.do(TakeSeat(room=ROOM, index=3)),
        host.do(LockSeat(room=ROOM, index=1)),
        host.do(TakeSeat(room=ROOM)),
        host.do(SetRole(room=ROOM, identity="guest", role=Role.ADMIN)),
    )
    offset = snapshot.offset
    for envelope in waiting(subscription):
        assert (envelope.epoch, envelope.offset) == (snapshot.epoch, offset + 1)
        offset = envelope.offset
        room = apply(room, envelope.event)
    after = await guest.do(GetRoom(room=ROOM))
    assert (after.room, after.offset) == (room, offset)


async def test_an_answer_comes_after_its_event_was_published(world: World) -> None:
    host = await world.room()
    subscription = await host.follow(CHANNEL)
    await host.do(TakeSeat(room=ROOM))
    assert len(events(subscription, SeatTaken)) == 1


async def test_offsets_of_a_person_have_no_hole_though_rooms_and_calls_share_the_channel(world: World) -> None:
    guest = world.person("guest")
    subscription = await guest.follow("private-user.guest")
    hosts = []
    for number in range(5):
        hosts.append(await world.room(f"host-{number}", f"room-{number}", connect=False))
        await guest.join(f"room-{number}", connect=False)
    await asyncio.gather(
        world.person("ann").call("guest"),
        *(
            host.do(MakeRequest(room=f"room-{number}", kind=RequestKind.SPEAK_INVITE, to="guest"))
            for number, host in enumerate(hosts)
        ),
        world.server_does(CreateBan(identity="guest", duration=5.0)),
    )
    await world.settle()
    heard = waiting(subscription)
    assert [envelope.offset for envelope in heard] == list(range(1, len(heard) + 1))
    assert len({envelope.epoch for envelope in heard}) == 1
    kinds = [type(envelope.event) for envelope in heard]
    assert (kinds.count(RequestMade), kinds.count(CallStarted), kinds.count(BanMade)) == (5, 1, 1)


async def test_somebody_addressed_hears_it_wherever_he_is(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    subscription = await guest.follow("private-user.guest")
    await host.do(SetRole(room=ROOM, identity="guest", role=Role.SPEAKER))
    await host.do(RemoveParticipant(room=ROOM, identity="guest"))
    assert [type(event) for event in events(subscription)] == [RoleChanged, ParticipantRemoved]


@pytest.mark.parity("B4")
async def test_who_was_away_for_a_moment_gets_what_was_missed(world: World) -> None:
    host = await world.room()
    first = await host.follow(CHANNEL)
    place = Recover(first.head.epoch, first.head.offset)
    world.unsubscribe(first)
    await host.do(TakeSeat(room=ROOM))
    second = await world.subscribe(CHANNEL, host.actor, place)
    assert second.recovered
    assert len(events(second, SeatTaken)) == 1
    third = await world.subscribe(CHANNEL, host.actor, Recover("other", 1))
    assert not third.recovered


async def test_who_leaves_hears_nothing_after_it(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    subscription = await guest.follow(CHANNEL)
    await guest.do(TakeSeat(room=ROOM))
    await guest.leave()
    await host.do(LockSeat(room=ROOM, index=1))
    heard = [envelope.event async for envelope in subscription.events]
    assert [type(event).__name__ for event in heard] == ["SeatTaken", "SeatLeft"]
    assert world.engine.statistics().subscriptions == 0


async def test_who_is_removed_hears_that_and_nothing_after_it(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    subscription = await guest.follow(CHANNEL)
    await host.do(RemoveParticipant(room=ROOM, identity="guest", block=True))
    await host.do(LockSeat(room=ROOM, index=1))
    assert [type(event) for event in events(subscription)] == [ParticipantRemoved, BansChanged]
    with pytest.raises(Banned):
        await subscription.events.get()


async def test_who_loses_the_place_hears_nothing_after_it(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    subscription = await guest.follow(CHANNEL)
    await guest.disconnect()
    await world.settle()
    await host.do(LockSeat(room=ROOM, index=1))
    assert subscription.events.closed
    assert not waiting(subscription)


async def test_who_leaves_one_of_many_devices_goes_on_hearing(world: World) -> None:
    from utd_core.model.room import DuplicateIdentity

    host = await world.room(duplicate_identity=DuplicateIdentity.MANY)
    phone, tv = await world.guest("ann", device="phone"), await world.guest("ann", device="tv")
    subscription = await tv.follow(CHANNEL)
    await phone.leave()
    await host.do(TakeSeat(room=ROOM))
    assert len(events(subscription, SeatTaken)) == 1


async def test_the_end_of_the_room_is_the_end_of_the_stream(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    mine, servers = await guest.follow(CHANNEL), await world.engine.subscribe(CHANNEL)
    await host.do(EndRoom(room=ROOM))
    heard = [envelope.event async for envelope in mine.events]
    assert isinstance(heard[-1], RoomEnded)
    assert not servers.events.closed


@pytest.mark.embedded("the engine's own subscription is held up; tests/server/pusher does that to the server's")
async def test_removed_while_subscribing_is_not_subscribed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    host, guest = await world.room(), await world.guest("guest")
    machinery = world.engine._machinery
    assert machinery is not None
    original, gate = machinery.core.broker.subscribe, asyncio.Event()

    async def slow(*args: object, **named: object) -> object:
        subscription = await original(*args, **named)  # type: ignore[arg-type]  # passed through as it came
        await gate.wait()
        return subscription

    monkeypatch.setattr(machinery.core.broker, "subscribe", slow)
    attempt = asyncio.ensure_future(outcome(guest.follow(CHANNEL)))
    await world.settle()
    await host.do(RemoveParticipant(room=ROOM, identity="guest"))
    gate.set()
    assert codes([await attempt]) == ["not_joined"]


async def test_unsubscribing_is_idempotent_and_fine_after_the_end(world: World) -> None:
    host = await world.room()
    subscription = await host.follow(CHANNEL)
    for _ in range(2):
        world.unsubscribe(subscription)
    await world.stop()
    world.unsubscribe(subscription)
    results = await outcomes(host.follow(CHANNEL))
    assert isinstance(results[0], Closed)
