"""Who may give which command over HTTP: every command, by everybody from no credential at all to the secret.

| column | where |
|---|---|
| owner, host, admin, speaker, audience, stranger, secret; the sides of a call | `..._what_the_matrix_says` |
| no credential, wrong project, expired | `..._without_a_valid_credential_of_the_project` |
| the credentials of another project, in that project | `..._of_another_project_reaches_nothing_of_this_one` |
| publishable key | `..._gives_nothing_but_sessions` |
| banned | `..._banned_...` |

The expectations are those of the model's own matrix, which is written by hand; here the same rooms and calls stand in a
running engine, and commands come as requests. What is refused has changed nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import httpx
import jwt
import pytest

from tests.model.authorization import CODE as CODES
from tests.model.authorization import ROLES, STATUS, Row, call_rows, room_rows
from tests.model.scenes import ACTOR, arrange
from tests.model.world import LOUNGE, RoomWorld
from utd_core.engine.kinds import CALL, ROOM
from utd_core.errors import ErrorCode
from utd_core.model.codec import dump
from utd_core.model.command import THE_SERVER, Actor, Command
from utd_core.model.commands import COMMANDS, CreateBan, CreateRoom, CreateSession, JoinRoom, StartCall
from utd_core.model.identifiers import SERVER
from utd_core.model.roles import Role
from utd_core.model.stream_type import UTDStreamType

from .world import Caller, World, done, refused

ROWS, CALL_ROWS = room_rows(), call_rows()
SIDES = ("caller", "callee", "other", "server")
PEOPLE = {"caller": "ann", "callee": "bob", "other": "eve"}
PHONE = "phone"
CODE = {**CODES, "-": ErrorCode.FORBIDDEN}
ON_REQUEST = {("take_seat:request_mode", "audience"): ErrorCode.SEATS_BY_REQUEST}
"""Whoever may take seats, but not here without asking, is told so."""


def name_of(value: object) -> str | None:
    return value.name if isinstance(value, Row) else None


def call_command(name: str, id: str) -> Command:
    if name == "start_call":
        return StartCall(type=UTDStreamType.AUDIO_CALL, callee="dan")
    return COMMANDS[name].parse({"id": id} if "id" in COMMANDS[name].model_fields else {})


class Stage:
    """The room or call of a row, in a running engine."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.call = "none"

    async def room(self, row: Row, role: str) -> Command:
        """Arrange the room in which the command of a row succeeds, if only the actor may give it; the command."""
        model, _, command = arrange(row.name, role)
        if model.state is not None:
            await self._enact(model)
        if isinstance(command, CreateSession) and role != "server":
            command = CreateSession(identity=ACTOR)
        return command

    async def _enact(self, model: RoomWorld) -> None:
        """Let the same people be in the engine's room, and make its state that of the model's."""
        engine, room = self.world.engine, model.room
        owner = next(identity for identity, role in room.roles.items() if role is Role.OWNER)
        await engine.execute(CreateRoom(room=LOUNGE, type=room.type, owner=None if owner == SERVER else owner))
        for identity in model.present:
            join = JoinRoom(room=LOUNGE, type=room.type, device_id=PHONE)
            await engine.execute(join, actor=Actor(identity, PHONE))
        await self.world.clock.settle()
        self._aggregate(ROOM, LOUNGE).state = room

    async def ring(self) -> None:
        """Ann calls Bob."""
        command = StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob")
        self.call = (await self.world.engine.execute(command, actor=Actor("ann", PHONE))).call_id

    def state(self) -> bytes | None:
        """The room or call as it is, byte for byte."""
        kind, key = (ROOM, LOUNGE) if self.call == "none" else (CALL, self.call)
        aggregate = self._aggregate(kind, key)
        return None if aggregate is None or aggregate.state is None else dump(aggregate.state)

    def _aggregate(self, kind: Any, key: str) -> Any:
        return self._machinery.pipeline.residents.peek(kind, key)

    @property
    def _machinery(self) -> Any:
        return self.world.engine._machinery

    async def caller(self, identity: str) -> Caller:
        return self.world.server() if identity == SERVER else await self.world.user(identity, device=PHONE)

    async def foreigners(self, identity: str) -> dict[str, Caller]:
        """Everybody who shows a good credential, but of the other project."""
        world = self.world
        return {
            "user": await world.user(identity, device=PHONE, app="beta"),
            "secret": world.server("beta"),
            "key": world.key("beta"),
        }

    async def intruders(self, identity: str) -> dict[str, Caller]:
        """Everybody who shows no valid credential of this project, while claiming to be somebody who may."""
        world = self.world
        here = {"X-App-Id": "alpha"}
        good = {"sub": identity, "app": "alpha", "device": PHONE, "gen": 0, "exp": world.clock.now() + 60}
        key = self._machinery.tokens._key
        forged = jwt.encode({**good, "app": "beta"}, key[::-1], "HS256")
        expired = jwt.encode({**good, "exp": world.clock.now()}, key, "HS256")
        return {
            "no credential": world.nobody(),
            "no credential but the project": Caller(world, here),
            "forged token of another project": Caller(world, {"Authorization": f"Bearer {forged}"}),
            "forged token, as of this": Caller(world, {"Authorization": f"Bearer {forged}", **here}),
            "expired token": Caller(world, {"Authorization": f"Bearer {expired}"}),
            **{
                f"{kind} of another project, as of this": Caller(world, {**caller.headers, **here})
                for kind, caller in (await self.foreigners(identity)).items()
            },
        }


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with World("alpha") as world:
        yield Stage(world)


@pytest.fixture
async def beside_another() -> AsyncIterator[Stage]:
    """A stage in one of two projects on the same server."""
    async with World("alpha", "beta") as world:
        yield Stage(world)


def check(response: httpx.Response, row: Row, role: str) -> None:
    """The matrix says `+`, or which refusal it is."""
    mark = row.allowed[role]
    if response.status_code == 404 and response.json()["code"] == ErrorCode.BAN_NOT_FOUND:
        assert mark == "+"
    elif mark == "+":
        done(response)
    else:
        refused(response, STATUS[mark], ON_REQUEST.get((row.name, role), CODE[mark]))


def test_every_command_is_in_the_matrix() -> None:
    assert {row.command for row in [*ROWS, *CALL_ROWS]} == set(COMMANDS)


@pytest.mark.parametrize(("row", "role"), list(product(ROWS, ROLES)), ids=name_of)
async def test_a_role_may_give_over_http_what_the_matrix_says(stage: Stage, row: Row, role: str) -> None:
    if row.allowed[role] == ".":
        return
    command = await stage.room(row, role)
    before = stage.state()
    response = await (await stage.caller(SERVER if role == "server" else ACTOR)).give(command)
    if isinstance(command, JoinRoom) and role == "server":
        # A server is in no room; it names who joins.
        refused(response, 422, ErrorCode.INVALID_INPUT)
    else:
        check(response, row, role)
    if not response.is_success:
        assert stage.state() == before


@pytest.mark.parametrize(("row", "side"), list(product(CALL_ROWS, SIDES)), ids=name_of)
async def test_a_side_of_a_call_may_give_over_http_what_the_matrix_says(stage: Stage, row: Row, side: str) -> None:
    if row.name != "start_call":
        await stage.ring()
    before = stage.state()
    caller = await stage.caller(SERVER if side == "server" else PEOPLE[side])
    response = await caller.give(call_command(row.name, stage.call))
    check(response, row, side)
    if not response.is_success:
        assert stage.state() == before


async def scene_of(stage: Stage, row: Row) -> tuple[Command, str]:
    """The command of a row in its room or call, and the identity of somebody who may give it."""
    if row not in CALL_ROWS:
        return await stage.room(row, "owner"), ACTOR
    if row.name != "start_call":
        await stage.ring()
    return call_command(row.name, stage.call), "ann"


@pytest.mark.parametrize("row", [*ROWS, *CALL_ROWS], ids=name_of)
async def test_nobody_gives_anything_without_a_valid_credential_of_the_project(beside_another: Stage, row: Row) -> None:
    command, identity = await scene_of(beside_another, row)
    before = beside_another.state()
    for who, caller in (await beside_another.intruders(identity)).items():
        response = await caller.give(command)
        assert (response.status_code, response.json()["code"]) == (401, "unauthenticated"), who
        assert beside_another.state() == before, who


@pytest.mark.parametrize("row", [*ROWS, *CALL_ROWS], ids=name_of)
async def test_the_credential_of_another_project_reaches_nothing_of_this_one(beside_another: Stage, row: Row) -> None:
    """Rooms and people may have the same names there."""
    command, identity = await scene_of(beside_another, row)
    before = beside_another.state()
    for who, caller in (await beside_another.foreigners(identity)).items():
        response = await caller.give(command)
        assert response.status_code < 500, who
        assert beside_another.state() == before, who
        if row.command not in MAKES_ITS_OWN:
            assert response.status_code in NOTHING_THERE or response.json()["data"] == [], who


@pytest.mark.parametrize("row", [*ROWS, *CALL_ROWS], ids=name_of)
async def test_the_publishable_key_gives_nothing_but_sessions(stage: Stage, row: Row) -> None:
    if row in CALL_ROWS:
        await stage.ring()
        command = call_command(row.name, stage.call)
    else:
        command = await stage.room(row, "owner")
    before = stage.state()
    response = await stage.world.key().give(command)
    if row.command == "create_session":
        done(response)
    else:
        refused(response, 403, ErrorCode.FORBIDDEN)
    assert stage.state() == before


MAKES_ITS_OWN = ("create_session", "create_room", "join_room", "start_call", "create_ban", "list_bans")
"""Commands that need nothing to be there."""
NOTHING_THERE = (403, 404, 409, 422)
COMES_IN = ("create_session", "create_room", "join_room")
"""Commands by which somebody who was outside is inside."""


@pytest.mark.parametrize("row", ROWS, ids=name_of)
async def test_whoever_is_banned_comes_in_nowhere_and_is_a_stranger_elsewhere(stage: Stage, row: Row) -> None:
    command = await stage.room(row, "stranger")
    banned = await stage.caller(ACTOR)
    await stage.world.engine.execute(CreateBan(identity=ACTOR), actor=THE_SERVER)
    before = stage.state()
    response = await banned.give(command)
    if row.command in COMES_IN and row.allowed["stranger"] in ("+", "o"):
        refused(response, 403, ErrorCode.BANNED)
    elif row.command in COMES_IN:
        assert response.status_code == 403
    else:
        check(response, row, "stranger")
    if not response.is_success:
        assert stage.state() == before


@pytest.mark.parametrize("row", CALL_ROWS, ids=name_of)
async def test_whoever_is_banned_is_in_no_call_any_more(stage: Stage, row: Row) -> None:
    await stage.ring()
    callee = await stage.caller("bob")
    await stage.world.engine.execute(CreateBan(identity="bob"), actor=THE_SERVER)
    await stage.world.clock.settle()
    response = await callee.give(call_command(row.name, stage.call))
    if row.name in ("start_call", "accept_call"):
        refused(response, 403, ErrorCode.BANNED)
    elif COMMANDS[row.name].spec.query:
        assert "ended" in str(done(response))
    elif row.allowed["callee"] == "+":
        refused(response, 409, ErrorCode.CALL_ENDED)
    else:
        check(response, row, "callee")
