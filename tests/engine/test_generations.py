"""Token generations: who was banned, or kicked with block, does not come back with a token from before."""

from __future__ import annotations

import pytest

from utd_core.engine.identity.generations import KIND
from utd_core.errors import Unauthenticated
from utd_core.model.command import Actor
from utd_core.model.commands import CreateBan, CreateSession, DeleteBan, JoinRoom, RemoveParticipant
from utd_core.model.results import UserSession
from utd_core.model.stream_type import UTDStreamType

from .conftest import MakeWorld
from .world import ROOM, World, codes, outcome, outcomes

JOIN = JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM)


@pytest.fixture(params=["memory", "postgresql"])
async def world(request: pytest.FixtureRequest, world_on: MakeWorld) -> World:
    """An engine with its store in memory, and one on PostgreSQL."""
    return await world_on(request.param)


async def signed_in(world: World, identity: str = "guest") -> str:
    """A user token, as the application's server gets one for somebody."""
    session: UserSession = await world.server_does(CreateSession(identity=identity))
    return session.user_token


async def shown(world: World, token: str) -> Actor:
    return world.engine.actor_of(token)


async def refreshed(world: World, token: str) -> str:
    actor = world.engine.actor_of(token)
    session: UserSession = await world.engine.execute(CreateSession(identity=actor.identity), actor=actor)
    return session.user_token


async def test_a_token_is_good_to_join_and_to_get_a_new_one(world: World) -> None:
    await world.room()
    token = await signed_in(world)
    for _ in range(3):
        await world.engine.execute(JOIN, actor=await shown(world, token))
        token = await refreshed(world, token)
    assert world.engine.actor_of(token) == Actor("guest")


@pytest.mark.parametrize("how", ["a ban from the room", "a ban from the project", "a kick with block"])
async def test_after_it_the_old_token_is_no_good_even_when_the_ban_is_over(world: World, how: str) -> None:
    host = await world.room()
    old = await signed_in(world)
    await world.engine.execute(JOIN, actor=await shown(world, old))
    if how == "a ban from the room":
        await host.do(CreateBan(room=ROOM, identity="guest", duration=30.0))
    elif how == "a ban from the project":
        await world.server_does(CreateBan(identity="guest", duration=30.0))
    else:
        await host.do(RemoveParticipant(room=ROOM, identity="guest", block=True, duration=30.0))
    await world.advance(31)
    for operation in (world.engine.execute(JOIN, actor=await shown(world, old)), refreshed(world, old)):
        with pytest.raises(Unauthenticated, match="revoked"):
            await operation
    new = await signed_in(world)
    await world.engine.execute(JOIN, actor=await shown(world, new))
    assert await refreshed(world, new)


async def test_a_kick_without_block_revokes_nothing(world: World) -> None:
    host = await world.room()
    token = await signed_in(world)
    await world.engine.execute(JOIN, actor=await shown(world, token))
    await host.do(RemoveParticipant(room=ROOM, identity="guest"))
    await world.engine.execute(JOIN, actor=await shown(world, token))


async def test_a_lifted_ban_leaves_the_old_token_revoked(world: World) -> None:
    await world.room()
    old = await signed_in(world)
    ban = await world.server_does(CreateBan(identity="guest"))
    await world.server_does(DeleteBan(id=ban.id))
    results = await outcomes(world.engine.execute(JOIN, actor=await shown(world, old)), refreshed(world, old))
    assert codes(results) == ["unauthenticated"] * 2
    await world.engine.execute(JOIN, actor=await shown(world, await signed_in(world)))


async def test_others_keep_their_tokens(world: World) -> None:
    await world.room()
    token = await signed_in(world, "ann")
    await world.server_does(CreateBan(identity="guest"))
    await world.engine.execute(JOIN, actor=await shown(world, token))


async def test_a_call_gives_nobody_a_later_generation(world: World) -> None:
    """The token that comes with a ticket is no way around a ban."""
    await world.room()
    old = await signed_in(world)
    await world.server_does(CreateBan(identity="guest", duration=1.0))
    await world.advance(2)
    call = await world.person("ann").call("guest")
    from utd_core.model.commands import AcceptCall

    accepted = await world.engine.execute(AcceptCall(id=call.call_id), actor=await shown(world, old))
    again = accepted.ticket.user_token
    assert codes([await outcome(refreshed(world, again))]) == ["unauthenticated"]


async def test_a_second_ban_revokes_what_was_given_after_the_first(world: World) -> None:
    await world.room()
    for _ in range(3):
        token = await signed_in(world)
        ban = await world.server_does(CreateBan(identity="guest"))
        assert codes([await outcome(refreshed(world, token))]) == ["banned"]
        await world.server_does(DeleteBan(id=ban.id))
        assert codes([await outcome(refreshed(world, token))]) == ["unauthenticated"]


async def test_two_bans_in_one_transaction_are_one_generation(world: World) -> None:
    await world.room()
    await world.room("other", "other")
    old = await signed_in(world)
    await outcomes(
        *(world.server_does(CreateBan(room=room, identity="guest", duration=5.0)) for room in (ROOM, "other", None))
    )
    await world.advance(6)
    assert codes([await outcome(refreshed(world, old))]) == ["unauthenticated"]


async def test_a_ticket_s_token_is_of_the_present_generation_for_those_who_showed_none(world: World) -> None:
    host = await world.room()
    ban = await host.do(CreateBan(room=ROOM, identity="guest"))
    await host.do(DeleteBan(room=ROOM, id=ban.id))
    guest = await world.guest("guest")
    assert guest.ticket is not None
    await world.engine.execute(JOIN, actor=await shown(world, guest.ticket.user_token))


@pytest.mark.parametrize("kind", ["memory", "postgresql"])
async def test_a_generation_outlives_every_token_from_before_it_and_is_then_forgotten(
    world_on: MakeWorld, kind: str
) -> None:
    world = await world_on(kind, user_token_ttl=600.0, ended_retention=120.0)
    settings = world.settings
    await world.room()
    before = await signed_in(world)
    await world.server_does(CreateBan(identity="guest", duration=1.0))
    await world.advance(2)
    after = await signed_in(world)
    store = world.engine._store
    assert store is not None
    await world.advance(settings.user_token_ttl - 3)
    assert await store.load(KIND, "guest") is not None
    assert codes([await outcome(refreshed(world, before))]) == ["unauthenticated"]
    assert settings.ended_retention is not None
    await world.advance(settings.ended_retention + settings.prune_interval + 3)
    assert await store.load(KIND, "guest") is None
    assert codes([await outcome(shown(world, after))]) == ["unauthenticated"], "it has expired"
    late = await signed_in(world)
    await world.server_does(CreateBan(identity="guest", duration=1.0))
    await world.advance(2)
    assert codes([await outcome(refreshed(world, late))]) == ["unauthenticated"]
