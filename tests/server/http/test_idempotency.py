"""`Idempotency-Key`: a command that is sent again is done once, and answered with the first answer."""

from __future__ import annotations

import asyncio

from utd_core.errors import ErrorCode
from utd_core.model.commands import CreateBan, CreateRoom, JoinRoom, ListBans, MakeRequest, StartCall, TakeSeat
from utd_core.model.request import RequestKind
from utd_core.model.seats import SeatMode
from utd_core.model.stream_type import UTDStreamType

from .world import World, done, refused

AUDIO = UTDStreamType.AUDIO_ROOM


async def test_a_repeat_is_answered_with_the_first_answer_and_its_status(world: World) -> None:
    create = CreateRoom(room="lobby", type=AUDIO)
    first = await world.server().give(create, "key-1")
    again = await world.server().give(create, "key-1")
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    refused(await world.server().give(create, "key-2"), 409, ErrorCode.ROOM_EXISTS)


async def test_what_answers_nothing_answers_nothing_again(world: World) -> None:
    await world.server().give(CreateRoom(room="lobby", type=AUDIO))
    for _ in range(2):
        response = await world.server().send("DELETE", "/api/v1/rooms/lobby", headers={"Idempotency-Key": "end"})
        assert response.status_code == 204
    refused(await world.server().delete("/rooms/lobby"), 409, ErrorCode.ROOM_ENDED)


async def test_one_key_is_for_one_command(world: World) -> None:
    server = world.server()
    done(await server.give(CreateRoom(room="lobby", type=AUDIO), "key"))
    refused(await server.give(CreateRoom(room="other", type=AUDIO), "key"), 409, ErrorCode.IDEMPOTENCY_MISMATCH)
    refused(await server.give(CreateBan(identity="x"), "key"), 409, ErrorCode.IDEMPOTENCY_MISMATCH)


async def test_a_key_is_its_callers_own(world: World) -> None:
    ann, ben = await world.user("ann"), await world.user("ben")
    done(await ann.give(CreateRoom(room="anns", type=AUDIO), "key"))
    done(await ben.give(CreateRoom(room="bens", type=AUDIO), "key"))
    done(await world.server("beta").give(CreateRoom(room="theirs", type=AUDIO), "key"))


async def test_a_refusal_is_decided_anew(world: World) -> None:
    await world.server().give(CreateRoom(room="lobby", type=AUDIO, seat_mode=SeatMode.FREE))
    guest = await world.user("guest")
    refused(await guest.give(TakeSeat(room="lobby", index=0), "seat"), 409, ErrorCode.NOT_JOINED)
    done(await guest.give(JoinRoom(room="lobby", type=AUDIO)))
    done(await guest.give(TakeSeat(room="lobby", index=0), "seat"))


async def test_two_at_once_are_one(world: World) -> None:
    ban = CreateBan(identity="spammer")
    answers = await asyncio.gather(*(world.server().give(ban, "once") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(done(await world.server().give(ListBans()))["data"]) == 1


async def test_every_kind_of_answer_comes_back_whole(world: World) -> None:
    ann = await world.user("ann")
    done(await ann.give(JoinRoom(room="lobby", type=AUDIO, as_host=True, seat_count=3)))
    guest = await world.user("guest")
    done(await guest.give(JoinRoom(room="lobby", type=AUDIO)))
    for caller, command in (
        (ann, TakeSeat(room="lobby")),
        (guest, MakeRequest(room="lobby", kind=RequestKind.SPEAK)),
    ):
        first = done(await caller.give(command, "key"))
        assert done(await caller.give(command, "key")) == first
    call = StartCall(type=UTDStreamType.AUDIO_CALL, callee="ben")
    first, again = done(await ann.give(call, "call")), done(await ann.give(call, "call"))
    # The place of a party is made anew: what it was given first may have run out.
    assert {**first, "ticket": None} == {**again, "ticket": None}
    assert again["ticket"]["room_name"] == first["ticket"]["room_name"]


async def test_a_query_needs_none_and_takes_any(world: World) -> None:
    for _ in range(2):
        assert (await world.server().send("GET", "/api/v1/rooms", headers={"Idempotency-Key": "k"})).status_code == 200
