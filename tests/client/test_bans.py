"""Bans as moderators give them, and what everybody else may know of them."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import pytest

from utd_core.client import Ban, EndReason, Resynced, Role, SessionEnd, UTDRoomSession, UTDSession
from utd_core.errors import Banned, Closed, ErrorCode, Forbidden, NotFound
from utd_core.model.bans import BansChanged
from utd_core.model.codec import dump
from utd_core.model.commands import CreateBan, GetRoom, LockSeat, RejectCall
from utd_core.model.event import Event
from utd_core.model.identifiers import SYSTEM
from utd_core.model.room import ParticipantRemoved, Room

from .world import ROOM, World, now

WORDS = "sold fake tickets"


async def room_of(session: UTDRoomSession) -> Room:
    """The mirrored room, which must be what the engine would say now."""
    mirrored = session._mirrored
    assert isinstance(mirrored, Room)
    snapshot = await session._link.execute(GetRoom(room=ROOM))
    assert mirrored == snapshot.room
    assert WORDS.encode() not in dump(snapshot)
    return copy(mirrored)


def end_of(session: UTDSession) -> SessionEnd:
    end = now(session.ended)
    assert end is not None
    return end


@pytest.mark.parity("S10")
async def test_a_moderator_bans_lists_and_forgives(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    guest = await world.audio_room("guest")
    made = await host.ban("guest", duration=60.0, reason=WORDS)
    assert isinstance(made, Ban)
    assert await host.bans() == (made,)
    await world.settle()
    assert end_of(guest).reason is EndReason.BANNED
    with pytest.raises(Banned):
        await guest.rejoin()
    await host.unban("guest")
    assert await host.bans() == ()
    await world.run(guest.rejoin())
    assert now(guest.connected)


async def test_whoever_never_came_is_kept_out_too(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    await host.ban("stranger")
    with pytest.raises(Banned):
        await world.audio_room("stranger")


async def test_bans_come_whole_whatever_their_number(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    for number in range(230):
        await host.ban(f"stranger-{number:03}")
    assert [ban.identity for ban in await host.bans()] == [f"stranger-{number:03}" for number in range(230)]
    await host.unban("stranger-007")
    assert len(await host.bans()) == 229


async def test_nobody_is_forgiven_who_is_not_banned(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    with pytest.raises(NotFound) as caught:
        await host.unban("guest")
    assert caught.value.code == ErrorCode.BAN_NOT_FOUND


async def test_who_may_not_ban_may_not_look_either(world: World) -> None:
    await world.audio_room("host", as_host=True)
    guest = await world.audio_room("guest")
    for operation in (guest.bans(), guest.ban("host"), guest.unban("host")):
        with pytest.raises(Forbidden):
            await operation


async def test_the_banned_one_is_told_why_and_until_when_and_nobody_else_is(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    guest, viewer = await world.audio_room("guest"), await world.audio_room("viewer")
    async with viewer.events.reader() as reader:
        await host.kick("guest", block=True, duration=60.0, reason=WORDS)
        await world.settle()
        facts = [event for event in iter(reader.get_nowait, None) if isinstance(event, Event)]
    assert [type(fact) for fact in facts] == [ParticipantRemoved, BansChanged]
    assert not any(WORDS.encode() in dump(fact) for fact in facts)
    end = end_of(guest)
    assert end.reason is EndReason.BANNED
    assert WORDS in end.message
    assert isinstance(end.error, Banned)
    assert end.error.details["reason"] == WORDS
    assert end.error.details["expires_at"] == world.clock.now() + 60.0


async def test_a_snapshot_and_the_mirrored_room_are_the_same_for_everybody_and_hold_no_ban(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    viewer = await world.audio_room("viewer")
    await host.ban("stranger", reason=WORDS)
    await world.engine.execute(LockSeat(room=ROOM, index=2))
    await world.settle()
    late = await world.audio_room("late")
    for session in (host, viewer, late):
        assert (await room_of(session)).bans == {}


@pytest.mark.parametrize("replayed", [True, False])
async def test_the_room_after_a_gap_is_the_room_before_it_whatever_bans_were_made_meanwhile(
    world: World, replayed: bool
) -> None:
    host = await world.audio_room("host", as_host=True)
    await host.set_role("admin", Role.ADMIN)
    admin = await world.audio_room("admin")
    await host.ban("one")
    await world.settle()
    before = await room_of(admin)
    mirror = admin._mirror
    assert mirror is not None
    assert mirror._subscription is not None
    async with admin.events.reader() as reader:
        mirror._subscription.events.close(Closed("cut off"))
        mirror._distrusted = not replayed
        await host.ban("two", reason=WORDS)
        await host.unban("one")
        await world.settle()
        told = [event for event in iter(reader.get_nowait, None) if isinstance(event, Resynced)]
    assert [event.recovered for event in told] == [replayed]
    after = await room_of(admin)
    assert after.version == before.version + 2
    assert replace(after, version=0) == replace(before, version=0)
    assert [ban.identity for ban in await admin.bans()] == ["two"]


async def test_a_ban_from_the_whole_project_is_said_to_be_one_in_every_room(world: World) -> None:
    host = await world.audio_room("host", as_host=True)
    guest = await world.audio_room("guest")
    async with host.events.reader() as reader:
        await world.engine.execute(CreateBan(identity="guest", reason=WORDS))
        await world.settle()
        facts = [event for event in iter(reader.get_nowait, None) if isinstance(event, Event)]
    assert facts == [ParticipantRemoved("guest", "banned", True, SYSTEM)]
    end = end_of(guest)
    assert end.reason is EndReason.BANNED
    assert WORDS in end.message
    assert now(host.connected)


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("banned", ["ann", "bob"])
async def test_a_ban_in_a_call_is_the_end_of_the_banned_side_s_session_and_of_the_call_for_the_other(
    world: World, answered: bool, banned: str
) -> None:
    ann, bob = await world.caller("ann"), await world.caller("bob")
    call = await world.run(ann.start("bob"))
    if answered:
        await world.run(bob.accept(call.call_id))
    else:
        await bob.ringing(call.call_id)
    await world.engine.execute(CreateBan(identity=banned))
    await world.settle()
    sessions = {"ann": ann, "bob": bob}
    for identity, session in sessions.items():
        shown = now(session.call)
        assert shown is not None
        assert shown.status.is_terminal
        assert (shown.end_reason, shown.ended_party) == ("banned", banned)
        if answered or identity == "ann":  # who was only ringing had no stay to end
            assert end_of(session).reason is (EndReason.BANNED if identity == banned else EndReason.CALL_ENDED)


async def test_a_callee_whose_own_word_for_no_is_banned_is_not(world: World) -> None:
    ann, bob = await world.caller("ann"), await world.caller("bob")
    call = await world.run(ann.start("bob"))
    await bob._link.execute(RejectCall(id=call.call_id, reason="banned"))
    await world.settle()
    assert end_of(ann).reason is EndReason.CALL_ENDED
