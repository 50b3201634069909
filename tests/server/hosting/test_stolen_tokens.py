"""A token that somebody kept from before a ban, or a kick with block, is no way back in: over HTTP, on both databases,
and on a server that was started since."""

from __future__ import annotations

import pytest

from utd_core.model.command import Command
from utd_core.model.commands import CreateBan, CreateRoom, CreateSession, DeleteBan, JoinRoom, RemoveParticipant
from utd_core.model.stream_type import UTDStreamType
from utd_core.server import Project

from .house import House, Open

ROOM = "lobby"
JOIN = JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM)
REFRESH = CreateSession(identity="guest")
HOWS: dict[str, Command] = {
    "a ban from the project": CreateBan(identity="guest", duration=10.0),
    "a ban from the room": CreateBan(room=ROOM, identity="guest", duration=10.0),
    "a kick with block": RemoveParticipant(room=ROOM, identity="guest", block=True, duration=10.0),
}


async def codes(node: Open, token: str) -> tuple[str, str]:
    """What joining and refreshing with a token are answered."""
    guest = node.bearer(token)
    return await guest.code(JOIN), await guest.code(REFRESH)


async def stolen(house: House, node: Open, shop: Project, how: Command) -> str:
    """A token of somebody who was then thrown out."""
    await node.server(shop).give(CreateRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM))
    token = await node.token(shop, "guest")
    assert await codes(node, token) == ("ok", "ok")
    assert await node.server(shop).code(how) == "ok"
    return token


@pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
async def test_is_refused_while_the_ban_holds_afterwards_and_after_a_restart(house: House, how: Command) -> None:
    shop = await house.create("shop")
    async with house.node() as node:
        old = await stolen(house, node, shop, how)
        others = await node.token(shop, "ann")
        assert (await codes(node, old))[0] == "banned"
        await house.clock.advance(11)
        assert await codes(node, old) == ("unauthenticated", "unauthenticated")
    async with house.node() as node:
        assert await codes(node, old) == ("unauthenticated", "unauthenticated")
        assert await codes(node, await node.token(shop, "guest")) == ("ok", "ok"), "signed in anew by the application"
        assert await codes(node, old) == ("unauthenticated", "unauthenticated"), "which does not mend the old one"
        assert await node.bearer(others).code(JOIN) == "ok"


async def test_is_refused_by_another_node_at_once(house: House) -> None:
    """The generation is in the database, and nobody keeps it in memory."""
    shop = await house.create("shop")
    async with house.node() as one, house.node() as other:
        assert await other.server(shop).code(CreateSession(identity="ann")) == "ok", "it has the project open"
        old = await stolen(house, one, shop, CreateBan(identity="guest"))
        ban = (await one.http.get("/api/v1/bans", headers=one.server(shop)._headers)).json()["data"][0]
        await one.server(shop).give(DeleteBan(id=ban["id"]))
        assert await other.bearer(old).code(REFRESH) == "unauthenticated"


async def test_is_refused_whichever_of_the_tokens_from_before_it_is(house: House) -> None:
    shop = await house.create("shop")
    async with house.node() as node:
        first = await node.token(shop, "guest")
        refreshed = (await node.bearer(first).give(REFRESH)).json()["user_token"]
        await node.server(shop).give(CreateRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM))
        of_ticket = (await node.bearer(first).give(JOIN)).json()["user_token"]
        await node.server(shop).give(CreateBan(identity="guest", duration=1.0))
        await house.clock.advance(2)
        for token in (first, refreshed, of_ticket):
            assert await codes(node, token) == ("unauthenticated", "unauthenticated")
