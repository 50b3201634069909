"""The entry point: who is signed in, what it makes, and what closing it frees."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.client import UTDAudioRoomSession, UTDCallSession, UTDLiveStreamSession, UTDStreamClient
from utd_core.client.embedded import EmbeddedLink
from utd_core.errors import Closed, Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from utd_core.model.seats import SeatMode
from utd_core.model.session import SessionState

from .world import ROOM, World, now


@pytest.mark.parity("U1")
async def test_a_client_is_made_from_an_engine_or_a_link_and_from_exactly_one(world: World) -> None:
    for client in (UTDStreamClient(engine=world.engine), UTDStreamClient(link=world.new_link())):
        async with client:
            assert await client.authenticate("alice")
    with pytest.raises(InvalidInput):
        UTDStreamClient()  # type: ignore[call-overload]  # that is it
    with pytest.raises(InvalidInput):
        UTDStreamClient(link=EmbeddedLink(world.engine), engine=world.engine)  # type: ignore[call-overload]  # that is it


@pytest.mark.parity("U1")
async def test_all_sessions_of_a_client_share_its_link(world: World) -> None:
    alice = await world.client("alice")
    room = await world.keep(await alice.join_audio_room("a", as_host=True))
    call = await world.keep(alice.call_session("audio_call"))
    assert room._link is call._link


@pytest.mark.parity("U2")
async def test_the_identity_is_known_as_soon_as_it_is_named(world: World) -> None:
    assert world.new_client("alice").identity == "alice"
    nobody = world.new_client()
    assert nobody.identity is None
    async with nobody:
        await nobody.authenticate("bob")
        assert nobody.identity == "bob"


@pytest.mark.parity("U2")
async def test_a_second_identity_or_device_on_one_client_is_refused_and_says_what_to_do(world: World) -> None:
    alice = await world.client("alice", device_id="phone")
    with pytest.raises(Conflict, match="make another client for 'bob'"):
        await alice.authenticate("bob")
    with pytest.raises(Conflict, match="make another client for 'bob'"):
        await alice.join_audio_room(ROOM, identity="bob", as_host=True)
    with pytest.raises(Conflict, match="tablet"):
        await alice.authenticate(device_id="tablet")
    assert await alice.authenticate("alice", device_id="phone")
    assert alice.identity == "alice"


@pytest.mark.parity("U3")
async def test_authenticate_answers_a_token_that_the_engine_knows(world: World) -> None:
    client = world.new_client()
    async with client:
        token = await client.authenticate("alice", name="Alice", device_id="phone")
        actor = world.engine.actor_of(token)
        assert (actor.identity, actor.device, actor.name) == ("alice", "phone", "Alice")
        assert client.user_token == token


@pytest.mark.parity("U3")
@pytest.mark.parametrize("identity", ["", " alice", "a\nb", "$server", "x" * 129])
async def test_a_malformed_identity_is_refused_and_nobody_is_signed_in(world: World, identity: str) -> None:
    client = world.new_client()
    with pytest.raises(InvalidInput) as caught:
        await client.authenticate(identity)
    assert caught.value.code == "invalid_identity"
    assert client.identity is None
    await client.aclose()


@pytest.mark.parity("U3")
async def test_calls_need_somebody_who_is_signed_in(world: World) -> None:
    client = world.new_client()
    with pytest.raises(Unauthenticated):
        client.call_session("audio_call")
    with pytest.raises(Unauthenticated):
        _ = client.incoming_calls
    with pytest.raises(Unauthenticated):
        await client.authenticate()
    with pytest.raises(Unauthenticated):
        await client.join_audio_room(ROOM, as_host=True)
    await client.aclose()


@pytest.mark.parity("U4")
@pytest.mark.parametrize("type", ["live_stream", "audio_room", "phone", ""])
async def test_a_call_session_refuses_a_type_that_is_no_call(world: World, type: str) -> None:
    alice = await world.client("alice")
    with pytest.raises(InvalidInput):
        alice.call_session(type)


@pytest.mark.parity("U4")
@pytest.mark.parametrize("type", ["audio_call", "video_call"])
async def test_a_call_session_of_either_type(world: World, type: str) -> None:
    alice = await world.client("alice")
    call = await world.keep(alice.call_session(type))
    assert isinstance(call, UTDCallSession)
    assert call.type == type
    assert (now(call.status), now(call.call_id), now(call.state)) == (None, None, SessionState.IDLE)


@pytest.mark.parity("U5")
async def test_joining_a_live_stream_as_host_and_as_viewer(world: World) -> None:
    host = world.new_client()
    async with host:
        session = await host.join_live_stream(
            ROOM, identity="host", as_host=True, name="The host", device_id="desk", backstage=False
        )
        assert isinstance(session, UTDLiveStreamSession)
        assert (host.identity, session.room_name, session.is_host) == ("host", ROOM, True)
        viewer = await world.live_stream("viewer")
        assert not viewer.is_host
        assert [(member.identity, member.name) for member in now(viewer.stage)] == [("host", "The host")]
        await session.aclose()


@pytest.mark.parity("U6")
async def test_joining_an_audio_room_as_host_seeds_the_grid(world: World) -> None:
    host = await world.audio_room("host", as_host=True, options={"seat_count": 5, "seat_mode": SeatMode.REQUEST})
    assert isinstance(host, UTDAudioRoomSession)
    assert (len(now(host.seats).seats), now(host.seats).mode) == (5, SeatMode.REQUEST)


@pytest.mark.parity("U6")
async def test_only_hosts_seed_seats(world: World) -> None:
    await world.audio_room("host", as_host=True)
    listener = await world.client("listener")
    with pytest.raises(Forbidden, match="seat_count"):
        await listener.join_audio_room(ROOM, seat_count=4)
    with pytest.raises(Forbidden, match="seat_mode"):
        await listener.join_audio_room(ROOM, seat_mode=SeatMode.REQUEST)
    with pytest.raises(Forbidden):
        await listener.join_audio_room(ROOM, as_host=True, seat_count=4)


@pytest.mark.parity("U6")
@pytest.mark.parametrize("count", [0, 101, -1])
async def test_a_grid_of_an_impossible_size_is_refused(world: World, count: int) -> None:
    host = await world.client("host")
    with pytest.raises(InvalidInput):
        await host.join_audio_room(ROOM, as_host=True, seat_count=count)


async def test_a_room_that_does_not_exist_or_is_of_another_type_cannot_be_joined(world: World) -> None:
    alice = await world.client("alice")
    with pytest.raises(NotFound):
        await alice.join_audio_room(ROOM)
    await world.audio_room("host", as_host=True)
    with pytest.raises(Conflict) as caught:
        await alice.join_live_stream(ROOM)
    assert caught.value.code == "wrong_room_type"


@pytest.mark.parity("U7")
async def test_a_closed_client_makes_no_session_and_its_sessions_live_on_until_they_are_closed(world: World) -> None:
    alice = world.new_client("alice")
    await alice.authenticate()
    room = await alice.join_audio_room(ROOM, as_host=True)
    call = alice.call_session("audio_call")
    await alice.aclose()
    await alice.aclose()
    for refused in (
        lambda: alice.join_audio_room("other", as_host=True),
        lambda: alice.join_live_stream("other", as_host=True),
        alice.authenticate,
    ):
        with pytest.raises(Closed):
            await refused()
    with pytest.raises(Closed):
        alice.call_session("audio_call")
    await room.take_seat(0)
    assert now(room.connected)
    link = room._link
    await room.aclose()
    await call.aclose()
    with pytest.raises(Closed):
        await link.subscribe("private-user.alice")


@pytest.mark.parity("U7")
async def test_closing_a_client_without_sessions_frees_the_link_at_once(world: World) -> None:
    alice = world.new_client("alice")
    async with alice:
        incoming = alice.incoming_calls
    with pytest.raises(Closed):
        await alice._link.subscribe("private-user.alice")
    assert [calls async for calls in incoming] == [()]


async def test_signing_in_at_once_from_two_tasks_signs_in_once(world: World) -> None:
    client = world.new_client("alice")
    async with client:
        first, second = await asyncio.gather(client.authenticate(), client.authenticate())
        assert first == second


async def test_a_join_that_fails_leaves_no_session_behind(world: World) -> None:
    alice = world.new_client("alice")
    with pytest.raises(NotFound):
        await alice.join_audio_room(ROOM)
    assert alice._sessions == set()
    await alice.aclose()
