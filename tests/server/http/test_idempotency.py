"""`Idempotency-Key`: a command that is sent again is done once, and answered with the first answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.model.authorization import ROLES, Row
from tests.model.scenes import ACTOR
from utd_core.errors import ErrorCode
from utd_core.model.command import COMMANDS, Actor, Command
from utd_core.model.commands import (
    AcceptCall,
    CreateBan,
    CreateRoom,
    CreateSession,
    DeleteBan,
    JoinRoom,
    ListBans,
    MakeRequest,
    StartCall,
    TakeSeat,
)
from utd_core.model.identifiers import SERVER
from utd_core.model.request import RequestKind
from utd_core.model.seats import SeatMode
from utd_core.model.stream_type import UTDStreamType

from .test_authorization import CALL_ROWS, PEOPLE, ROWS, SIDES, Stage, call_command, name_of
from .world import Caller, World, done, refused

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


async def test_a_session_is_the_same_one_as_long_as_its_token_is_good(world: World) -> None:
    command = CreateSession(identity="ann", device_id="phone", name="Ann")
    first = done(await world.server().give(command, "key"))
    await world.clock.advance(3_600)
    assert done(await world.server().give(command, "key")) == first
    assert done(await world.server().give(command)) != first, "without a key it is another one"
    refused(await world.server().give(CreateSession(identity="ben"), "key"), 409, ErrorCode.IDEMPOTENCY_MISMATCH)
    await world.clock.advance(12 * 3_600)
    fresh = done(await world.server().give(command, "key"))
    assert fresh["expires_at"] > first["expires_at"], "an answer that is of no use is none"
    assert world.engine.actor_of(fresh["user_token"]).identity == "ann"


async def test_a_session_that_a_ban_revoked_is_not_given_out_again(world: World) -> None:
    command = CreateSession(identity="ann")
    first = done(await world.server().give(command, "key"))
    ban = done(await world.server().give(CreateBan(identity="ann")))
    refused(await world.server().give(command, "key"), 403, ErrorCode.BANNED)
    await world.server().delete(f"/bans/{ban['id']}")
    again = done(await world.server().give(command, "key"))
    assert again["user_token"] != first["user_token"]
    assert world.engine.actor_of(again["user_token"]).generation > 0  # type: ignore[operator]  # it has one


async def test_many_sessions_under_one_key_at_once_are_one(world: World) -> None:
    command = CreateSession(identity="ann")
    answers = await asyncio.gather(*(world.server().give(command, "key") for _ in range(20)))
    assert len({done(answer)["user_token"] for answer in answers}) == 1


async def test_no_token_is_kept_for_a_repeat(world: World) -> None:
    first = done(await world.server().give(CreateSession(identity="ann"), "key"))
    store = world.engine._store
    assert store is not None
    answer = await store.answer("$server", "key")
    assert answer is not None
    assert first["user_token"].rpartition(".")[2].encode() not in answer.payload


def without_ticket(response: httpx.Response) -> Any:
    """What was answered, but for what is made anew each time because it runs out: the way into a room or call."""
    body = response.json() if response.content else None
    if isinstance(body, dict):
        for field in ("ticket", "token", "user_token") if "room_name" in body else ("ticket",):
            body.pop(field, None)
    return body


def changing(rows: list[Row]) -> list[Row]:
    return [
        row
        for row in rows
        if not COMMANDS[row.command].spec.query and "+" in row.allowed.values() and row.command != "delete_ban"
    ]


class TestTheWholeTable:
    """Whatever a command that changes something is answered, its repeat under the same key is answered too."""

    @pytest.fixture
    async def stage(self) -> AsyncIterator[Stage]:
        async with World("alpha") as world:
            yield Stage(world)

    async def check(self, stage: Stage, caller: Caller, command: Command) -> None:
        first = await caller.give(command, "key")
        state = stage.state()
        again = await caller.give(command, "key")
        assert first.is_success, first.text
        assert (again.status_code, without_ticket(again)) == (first.status_code, without_ticket(first))
        assert stage.state() == state, "it was done a second time"

    @pytest.mark.parametrize("row", changing(ROWS), ids=name_of)
    async def test_of_rooms(self, stage: Stage, row: Row) -> None:
        role = next(role for role in (*ROLES[:-1], "server") if row.allowed[role] == "+")
        command = await stage.room(row, role)
        await self.check(stage, await stage.caller(SERVER if role == "server" else ACTOR), command)

    @pytest.mark.parametrize("row", changing(CALL_ROWS), ids=name_of)
    async def test_of_calls(self, stage: Stage, row: Row) -> None:
        side = next(side for side in SIDES if row.allowed[side] == "+")
        if row.name != "start_call":
            await stage.ring()
        if row.name == "end_call":
            await stage.world.engine.execute(AcceptCall(id=stage.call), actor=Actor("bob", "phone"))
        caller = await stage.caller(SERVER if side == "server" else PEOPLE[side])
        await self.check(stage, caller, call_command(row.name, stage.call))

    async def test_of_bans_that_are_lifted(self, stage: Stage) -> None:
        server = stage.world.server()
        ban = done(await server.give(CreateBan(identity="spammer")))
        await self.check(stage, server, DeleteBan(id=ban["id"]))

    def test_there_is_no_other_command(self) -> None:
        given = {row.command for row in changing([*ROWS, *CALL_ROWS])} | {"delete_ban"}
        assert given == {name for name, command in COMMANDS.items() if not command.spec.query}


async def test_a_query_needs_none_and_takes_any(world: World) -> None:
    for _ in range(2):
        assert (await world.server().send("GET", "/api/v1/rooms", headers={"Idempotency-Key": "k"})).status_code == 200
