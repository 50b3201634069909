"""Lines over the event socket, by hand: who gets one, what it carries, and how it ends. No media, and virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Self

import pytest

from tests.server.pusher.asgi_client import AsgiClient
from utd_core.engine import Engine
from utd_core.errors import Closed, Conflict, Forbidden, NotFound, Unsupported, UTDStreamException
from utd_core.media.signalling import MAX_SIGNAL_BYTES
from utd_core.model.channels import call_channel, user_channel
from utd_core.model.command import THE_SERVER, Actor
from utd_core.model.commands import AcceptCall, CreateSession, EndCall, JoinRoom, StartCall
from utd_core.model.results import UTDCall
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.app import App
from utd_core.server.projects import Project, SingleHost
from utd_core.server.pusher import PusherMount, PusherSettings
from utd_core.server.pusher.lines import MOST_LINES
from utd_core.testing import VirtualClock
from utd_webrtc_p2p.backend import P2PBackend

ALICE, BOB, CAROL = Actor("alice"), Actor("bob"), Actor("carol")
FOLLOWS = "pusher_internal:subscription_succeeded"


class Exchange:
    """An engine on webrtc_p2p with its event sockets, and an answered call between Alice and Bob."""

    def __init__(self, app_id: str = "4711") -> None:
        self.clock = VirtualClock()
        self.backend = P2PBackend({}, self.clock)
        self.engine = Engine(self.backend, clock=self.clock, app_id=app_id)
        project = Project(app_id, "key", ("the secret",))
        self.mount = PusherMount(SingleHost(self.engine, project), settings=PusherSettings())
        self.app = App(SingleHost(self.engine, project), mounts=[self.mount])
        self.tickets: dict[str, str] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for part in (self.backend, self.engine, self.app):
            await self._stack.enter_async_context(part)
        call: UTDCall = await self.engine.execute(StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob"), actor=ALICE)
        answered: UTDCall = await self.engine.execute(AcceptCall(id=call.call_id), actor=BOB)
        assert call.ticket is not None
        assert answered.ticket is not None
        self.call, self.channel = answered, call_channel(call.call_id)
        self.tickets = {"alice": call.ticket.token, "bob": answered.ticket.token}
        return self

    async def __aexit__(self, *exit: object) -> None:
        await self._stack.aclose()

    async def user(self, identity: str) -> AsgiClient:
        client = await self._stack.enter_async_context(AsgiClient(self.app))
        session = await self.engine.execute(CreateSession(identity=identity))
        client.say("pusher:signin", {"token": session.user_token})
        await client.hear("pusher:signin_success")
        return client

    async def party(self, identity: str) -> AsgiClient:
        """Somebody who follows the call."""
        client = await self.user(identity)
        client.subscribe(self.channel)
        await client.hear(FOLLOWS)
        return client

    async def caller(self, identity: str, line: str = "a") -> AsgiClient:
        """A party that is in the media room, by a line."""
        client = await self.party(identity)
        self.hello(client, self.tickets[identity], line)
        assert (await heard(client, line))["type"] == "welcome"
        return client

    def say(self, client: AsgiClient, message: Any, line: str = "a", **fields: Any) -> None:
        client.say("client-utd-signal", {"line": line, "message": message}, channel=self.channel, **fields)

    def hello(self, client: AsgiClient, token: str, line: str = "a", **fields: Any) -> None:
        self.say(client, {"type": "hello", "version": 1, "token": token, **fields}, line)


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with Exchange() as exchange:
        yield exchange


async def next_of(client: AsgiClient, *events: str) -> dict[str, Any]:
    """The next message of these events; the call's own are passed over."""
    while (message := await client.hear())["event"] not in events:
        assert not message["event"].startswith(("utd:", "pusher:", "client-")), message
    return message


async def heard(client: AsgiClient, line: str = "a") -> dict[str, Any]:
    """What the control half says next."""
    said: dict[str, Any] = json.loads((await next_of(client, "utd:signal"))["data"])
    assert said["line"] == line
    message: dict[str, Any] = said["message"]
    return message


async def over(client: AsgiClient) -> dict[str, Any]:
    """How a line ended."""
    said: dict[str, Any] = json.loads((await next_of(client, "utd:line_over"))["data"])
    return said


class TestTwoParties:
    async def test_are_paired_and_their_words_go_to_each_other_alone(self, exchange: Exchange) -> None:
        alice, bob = await exchange.caller("alice"), await exchange.caller("bob")
        onlooker = await exchange.party("alice")
        assert (await heard(alice))["type"] == "joined"
        pairings = [await heard(client) for client in (alice, bob)]
        assert [(one["type"], one["role"]) for one in pairings] == [("pairing", "answerer"), ("pairing", "offerer")]
        offer = {"type": "description", "generation": 1, "kind": "offer", "sdp": "v=0\r\ns=x <&> \u00e9\t\r\n"}
        exchange.say(bob, offer)
        assert await heard(alice) == offer
        await bob.hear_nothing()
        await onlooker.hear_nothing()

    async def test_are_told_that_a_word_was_taken_if_they_ask(self, exchange: Exchange) -> None:
        alice = await exchange.caller("alice")
        exchange.say(alice, {"type": "ping"}, id=7)
        assert (await heard(alice))["type"] == "pong"
        assert (await alice.hear("utd:accepted"))["id"] == 7

    async def test_may_carry_it_as_a_string_as_stock_clients_do(self, exchange: Exchange) -> None:
        alice = await exchange.caller("alice")
        data = json.dumps({"line": "a", "message": {"type": "ping"}})
        alice.say("client-utd-signal", data, channel=exchange.channel)
        assert (await heard(alice))["type"] == "pong"

    async def test_of_a_project_with_its_own_media_rooms(self) -> None:
        async with Exchange("shop") as exchange:
            await exchange.caller("alice")
            await exchange.caller("bob")
            assert list(exchange.backend.board.rooms) == [f"$shop/{exchange.call.room_name}"]

    async def test_have_lines_of_several_connections_beside_each_other(self, exchange: Exchange) -> None:
        alice = await exchange.caller("alice", "old")
        exchange.hello(alice, exchange.tickets["alice"], "new")
        assert (await heard(alice, "old")) == {"type": "ended", "reason": "duplicate_identity"}
        assert await over(alice) == {"line": "old", "lost": False}
        assert (await heard(alice, "new"))["type"] == "welcome"


class TestReturning:
    async def test_over_another_line_the_stay_goes_on(self, exchange: Exchange) -> None:
        alice = await exchange.party("alice")
        exchange.hello(alice, exchange.tickets["alice"])
        stay = (await heard(alice))["stay"]
        await alice.leave()
        back = await exchange.party("alice")
        exchange.hello(back, exchange.tickets["alice"], stay=stay)
        assert (await heard(back))["stay"] == stay

    async def test_the_other_one_hears_nothing_of_it(self, exchange: Exchange) -> None:
        alice, bob = await exchange.caller("alice"), await exchange.caller("bob")
        assert [(await heard(alice))["type"] for _ in range(2)] == ["joined", "pairing"]
        assert (await heard(bob))["type"] == "pairing"
        await alice.leave()
        await bob.hear_nothing()
        assert len(exchange.backend.board.rooms[f"$4711/{exchange.call.room_name}"].stays) == 2

    async def test_without_the_subscription_there_is_no_line(self, exchange: Exchange) -> None:
        alice = await exchange.caller("alice")
        alice.say("pusher:unsubscribe", {"channel": exchange.channel})
        await alice.hear_nothing()
        exchange.say(alice, {"type": "ping"}, id=1)
        assert "subscribe first" in (await alice.hear("utd:refused"))["data"]


class TestStrangers:
    async def test_may_not_follow_the_call_even_with_a_partys_ticket(self, exchange: Exchange) -> None:
        carol = await exchange.user("carol")
        carol.subscribe(exchange.channel)
        await carol.hear("pusher:subscription_error")
        exchange.hello(carol, exchange.tickets["alice"])
        assert "subscribe first" in str(await carol.hear("pusher:error"))

    async def test_a_party_is_not_heard_as_the_other_one(self, exchange: Exchange) -> None:
        bob = await exchange.party("bob")
        exchange.hello(bob, exchange.tickets["alice"])
        refused = await heard(bob)
        assert (refused["type"], refused["reason"]) == ("refused", "bad_token")
        assert (await over(bob))["lost"] is False

    async def test_a_stay_is_its_own_participants(self, exchange: Exchange) -> None:
        alice = await exchange.party("alice")
        exchange.hello(alice, exchange.tickets["alice"])
        stay = (await heard(alice))["stay"]
        bob = await exchange.party("bob")
        exchange.hello(bob, exchange.tickets["alice"], stay=stay)
        assert (await heard(bob))["reason"] == "bad_token"

    async def test_a_ticket_of_another_call_is_good_for_nothing_here(self, exchange: Exchange) -> None:
        await exchange.engine.execute(EndCall(id=exchange.call.call_id), actor=ALICE)
        old = exchange.tickets["alice"]
        call = await exchange.engine.execute(StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob"), actor=ALICE)
        exchange.channel = call_channel(call.call_id)
        alice = await exchange.party("alice")
        exchange.hello(alice, old)
        assert (await heard(alice))["reason"] == "bad_token"

    @pytest.mark.parametrize(
        ("actor", "error"), [(CAROL, NotFound), (THE_SERVER, Forbidden)], ids=["a stranger", "the server"]
    )
    async def test_the_engine_has_no_desk_for_them(
        self, exchange: Exchange, actor: Actor, error: type[UTDStreamException]
    ) -> None:
        with pytest.raises(error):
            await exchange.engine.signalling(exchange.channel, actor=actor)

    async def test_nobody_has_one_on_another_channel(self, exchange: Exchange) -> None:
        with pytest.raises(NotFound):
            await exchange.engine.signalling(user_channel("alice"), actor=ALICE)
        with pytest.raises(NotFound):
            await exchange.engine.signalling(call_channel("no-such-call"), actor=ALICE)
        with pytest.raises(Conflict):
            await exchange.engine.signalling("private-room.lobby", actor=ALICE)

    async def test_only_who_is_in_a_room_has_one_for_it(self, exchange: Exchange) -> None:
        await exchange.engine.execute(JoinRoom(room="lobby", type=UTDStreamType.AUDIO_ROOM, as_host=True), actor=CAROL)
        await exchange.engine.signalling("private-room.lobby", actor=CAROL)
        with pytest.raises(Conflict, match="join first"):
            await exchange.engine.signalling("private-room.lobby", actor=ALICE)


class TestEnds:
    async def test_when_the_call_is_over_after_the_last_word(self, exchange: Exchange) -> None:
        alice = await exchange.caller("alice")
        await exchange.engine.execute(EndCall(id=exchange.call.call_id), actor=BOB)
        await exchange.clock.settle()
        assert await heard(alice) == {"type": "ended", "reason": "room_closed"}
        assert await over(alice) == {"line": "a", "lost": False}
        exchange.say(alice, {"type": "ping"})
        assert (await over(alice))["code"] == "call_ended"

    async def test_when_the_client_says_so(self, exchange: Exchange) -> None:
        alice = await exchange.caller("alice")
        exchange.say(alice, None)
        await alice.hear_nothing()
        (room,) = exchange.backend.board.rooms.values()
        assert room.stays["alice"].tell is None

    async def test_when_the_engine_is_closed_it_is_lost(self, exchange: Exchange) -> None:
        alice = await exchange.caller("alice")
        await exchange.engine.aclose()
        assert await over(alice) == {"line": "a", "lost": True}
        with pytest.raises(Closed):
            await exchange.engine.signalling(exchange.channel, actor=ALICE)

    async def test_when_the_backend_is_closed_it_is_hung_up(self, exchange: Exchange) -> None:
        alice = await exchange.caller("alice")
        await exchange.backend.aclose()
        assert await heard(alice) == {"type": "ended", "reason": "server_shutdown"}
        assert await over(alice) == {"line": "a", "lost": False}


class TestTooMuch:
    async def test_a_line_more_than_there_may_be(self, exchange: Exchange) -> None:
        alice = await exchange.party("alice")
        for number in range(MOST_LINES):
            exchange.say(alice, {"type": "hello", "version": 1, "token": ""}, str(number))
        # Each was refused, and so there is room for others.
        for _ in range(MOST_LINES):
            assert (await heard_any(alice))["type"] == "refused"
        room = exchange.backend.board.rooms[f"$4711/{exchange.call.room_name}"]
        room.silences["alice"] = MOST_LINES
        for number in range(MOST_LINES + 1):
            exchange.hello(alice, exchange.tickets["alice"], str(number))
        refused = await over(alice)
        assert (refused["line"], refused["lost"]) == (str(MOST_LINES), False)

    async def test_words_in_a_second_lose_the_line(self, exchange: Exchange) -> None:
        alice = await exchange.caller("alice")
        for _ in range(PusherSettings().client_event_burst):
            exchange.say(alice, {"type": "pong"})
        lost = await over(alice)
        assert (lost["lost"], lost["code"]) == (True, "rate_limited")
        await exchange.clock.advance(5.0)
        exchange.hello(alice, exchange.tickets["alice"], "b")
        assert (await heard(alice, "b"))["type"] == "welcome"

    async def test_bytes_in_a_word(self, exchange: Exchange) -> None:
        alice = await exchange.caller("alice")
        exchange.say(alice, {"type": "ping", "x": "y" * MAX_SIGNAL_BYTES}, id=1)
        assert str(MAX_SIGNAL_BYTES) in (await alice.hear("utd:refused"))["data"]

    @pytest.mark.parametrize(
        "data",
        [{}, {"line": "a", "message": "text"}, {"line": "a", "message": [1]}, {"line": "", "message": {}}, "nonsense",
         {"line": 7, "message": {}}, {"line": "x" * 65, "message": {}}],
        ids=["nothing", "text", "a list", "no name", "no JSON", "a number", "a long name"],
    )  # fmt: skip
    async def test_that_is_no_word_at_all(self, exchange: Exchange, data: Any) -> None:
        alice = await exchange.caller("alice")
        alice.say("client-utd-signal", data, channel=exchange.channel, id="x")
        assert (await alice.hear("utd:refused"))["id"] == "x"
        exchange.say(alice, {"type": "ping"})
        assert (await heard(alice))["type"] == "pong"

    async def test_the_backends_own_nonsense_ends_the_line(self, exchange: Exchange) -> None:
        alice = await exchange.caller("alice")
        exchange.say(alice, {"type": "no such thing"})
        assert (await heard(alice))["type"] == "refused"
        assert (await over(alice))["lost"] is False


async def heard_any(client: AsgiClient) -> dict[str, Any]:
    message: dict[str, Any] = json.loads((await next_of(client, "utd:signal"))["data"])["message"]
    await over(client)
    return message


async def test_a_backend_with_a_media_server_of_its_own_has_no_desk() -> None:
    async with Engine("mock", clock=VirtualClock()) as engine:
        call = await engine.execute(StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob"), actor=ALICE)
        with pytest.raises(Unsupported, match="signalling"):
            await engine.signalling(call_channel(call.call_id), actor=ALICE)
        with pytest.raises(Unsupported, match="signalling"):
            engine.backend.control.signalling(call.room_name, "alice")
