from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from utd_core.errors import Banned, Forbidden
from utd_core.model.bans import Ban, BanLifted, BanMade, BansChanged, BanScope
from utd_core.model.call import UTDCallStatus
from utd_core.model.commands import (
    CreateBan,
    CreateRoom,
    CreateSession,
    DeleteBan,
    GetCall,
    ListBans,
    RemoveParticipant,
    SetRole,
    TakeSeat,
)
from utd_core.model.roles import Role
from utd_core.model.room import ParticipantRemoved
from utd_core.model.stream_type import UTDStreamType

from .conftest import MakeWorld
from .world import ROOM, GatedStore, World, codes, events, outcome, outcomes

CHANNEL = f"private-room.{ROOM}"


@pytest.fixture(params=["memory", "postgresql"])
async def world(request: pytest.FixtureRequest, world_on: MakeWorld) -> World:
    """An engine with its store in memory, and one on PostgreSQL."""
    return await world_on(request.param)


@pytest.fixture
async def world_in_file(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path / "engine.db") as world:
        yield world


async def test_a_ban_from_a_room_removes_at_once_and_keeps_out(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    await guest.do(TakeSeat(room=ROOM, index=1))
    ban = await host.do(CreateBan(room=ROOM, identity="guest", reason="noise"))
    assert isinstance(ban, Ban)
    assert ban.scope is BanScope.ROOM
    await world.settle()
    assert not guest.is_connected()
    assert (await world.state()).grid.seats[1].identity is None
    with pytest.raises(Banned) as caught:
        await guest.join()
    assert caught.value.is_banned
    assert caught.value.details["reason"] == "noise"
    await world.room("other", "elsewhere")
    await guest.join("elsewhere")
    await host.do(DeleteBan(room=ROOM, id=ban.id))
    await guest.join()


@pytest.mark.parity("S10")
async def test_a_kick_with_block_is_a_ban(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    await host.do(RemoveParticipant(room=ROOM, identity="guest", block=True, duration=60.0))
    assert codes([await outcome(guest.join())]) == ["banned"]
    await world.advance(60)
    await guest.join()


async def test_a_ban_from_the_project_reaches_every_room_and_call(world: World) -> None:
    for number in range(3):
        await world.room(f"host-{number}", f"room-{number}")
    devices = [await world.guest("guest", f"room-{number}") for number in range(3)]
    await devices[0].do(TakeSeat(room="room-0", index=4))
    call = await world.person("ann").call("guest")
    await world.server_does(CreateBan(identity="guest", reason="spam"))
    await world.settle()
    assert not any(device.is_connected() for device in devices)
    assert [await world.count(f"room-{number}") for number in range(3)] == [1, 1, 1]
    assert (await world.state("room-0")).grid.seats[4].identity is None
    seen = await world.server_does(GetCall(id=call.call_id))
    assert (seen.status, seen.end_reason, seen.ended_by) == (UTDCallStatus.REJECTED, "banned", "$system")
    guest = world.person("guest")
    results = await outcomes(
        guest.join("room-1"),
        guest.call("ann"),
        guest.do(CreateRoom(room="mine", type=UTDStreamType.AUDIO_ROOM)),
        world.server_does(CreateSession(identity="guest")),
    )
    assert codes(results) == ["banned"] * 4


async def test_a_ban_ends_a_call_that_was_answered(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    call = await ann.call("bob")
    await bob.accept(call.call_id)
    await world.server_does(CreateBan(identity="ann"))
    await world.settle()
    seen = await world.server_does(GetCall(id=call.call_id))
    assert (seen.status, seen.end_reason) == (UTDCallStatus.ENDED, "banned")


async def test_a_ban_that_ran_out_is_swept_away_and_lets_in(world: World) -> None:
    await world.room()
    await world.server_does(CreateBan(identity="guest", duration=30.0))
    assert len((await world.server_does(ListBans())).data) == 1
    await world.advance(30)
    assert (await world.server_does(ListBans())).data == ()
    await world.guest("guest")


async def test_only_the_server_bans_from_the_project(world: World) -> None:
    host = await world.room()
    for command in (CreateBan(identity="guest"), ListBans(), DeleteBan(id="x")):
        with pytest.raises(Forbidden):
            await host.do(command)


async def test_a_ban_whose_removals_fail_is_carried_out_later(gated: World, store: GatedStore) -> None:
    from utd_core.errors import StoreFailed
    from utd_core.store.base import Commit

    await gated.room()
    guest = await gated.guest("guest")
    failed: list[Commit] = []

    async def fail(commit: Commit) -> None:
        if len(failed) < 3 and any(isinstance(envelope.event, ParticipantRemoved) for envelope in commit.events):
            failed.append(commit)
            raise StoreFailed("no")

    store.before_commit = fail
    await gated.server_does(CreateBan(identity="guest"))
    await gated.settle()
    assert guest.is_connected()
    await gated.advance(5)
    assert not guest.is_connected()
    assert await gated.count() == 1


@pytest.mark.parametrize("scope", BanScope)
async def test_a_moderator_who_follows_from_outside_is_cut_off_by_a_ban(world: World, scope: BanScope) -> None:
    await world.room()
    await world.server_does(SetRole(room=ROOM, identity="admin", role=Role.ADMIN))
    admin = world.person("admin")
    subscription = await admin.follow(CHANNEL)
    await world.server_does(CreateBan(room=ROOM if scope is BanScope.ROOM else None, identity="admin"))
    await world.settle()
    events(subscription)
    with pytest.raises(Banned):
        await subscription.events.get()
    with pytest.raises(Banned):
        await admin.follow(CHANNEL)
    assert world.engine.statistics().subscriptions == 0


async def test_only_the_banned_one_and_who_may_ban_hear_the_words_of_a_ban(world: World) -> None:
    host, guest = await world.room(), await world.guest("guest")
    to_all, to_guest = await world.engine.subscribe(CHANNEL), await guest.follow("private-user.guest")
    made = await host.do(CreateBan(room=ROOM, identity="guest", reason="noise"))
    await host.do(DeleteBan(room=ROOM, id=made.id, reason="said sorry"))
    assert [type(event) for event in events(to_all)] == [ParticipantRemoved, BansChanged, BansChanged]
    told = events(to_guest, BanMade, BanLifted)
    assert [event.reason for event in told if isinstance(event, BanLifted)] == ["said sorry"]
    assert [event.ban for event in told if isinstance(event, BanMade)] == [made]
    assert (await world.state()).bans == {}
    await host.do(CreateBan(room=ROOM, identity="guest", reason="noise"))
    page = await host.do(ListBans(room=ROOM, identity="guest"))
    assert [ban.reason for ban in page.data] == ["noise"]
    assert (await host.do(ListBans(room=ROOM, identity="somebody"))).data == ()


async def test_bans_are_there_after_a_restart_though_no_event_tells_them(world_in_file: World) -> None:
    world = world_in_file
    host = await world.room()
    await host.do(CreateBan(room=ROOM, identity="guest", reason="noise"))
    await world.restart()
    with pytest.raises(Banned):
        await world.guest("guest")
    assert [ban.identity for ban in (await world.server_does(ListBans(room=ROOM))).data] == ["guest"]
