"""Lines of a call whose parties are on different nodes: the control half is the holder's, whoever is where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.cluster.world import Node, World
from tests.server.pusher.asgi_client import AsgiClient
from utd_core.model.call import UTDCallStatus
from utd_core.model.channels import call_channel
from utd_core.model.command import Actor
from utd_core.model.commands import AcceptCall, GetCall, StartCall
from utd_core.model.results import UTDCall
from utd_core.model.stream_type import UTDStreamType

from .test_engine_lines import heard, over

ALICE, BOB = Actor("alice"), Actor("bob")


class Cluster(World):
    """Three nodes of one secret, the first of which holds the project, and an answered call."""

    def __init__(self) -> None:
        super().__init__(media_name="webrtc_p2p", media_settings={"secret": "of all nodes"})

    async def begin(self) -> None:
        self.nodes = [await self.start() for _ in range(3)]
        relay = await self.nodes[0].relay()
        call: UTDCall = await relay.execute(StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob"), actor=ALICE)
        answered: UTDCall = await relay.execute(AcceptCall(id=call.call_id), actor=BOB)
        assert call.ticket is not None
        assert answered.ticket is not None
        assert self.nodes[0].holds
        self.call_id, self.channel = call.call_id, call_channel(call.call_id)
        self.tickets = {"alice": call.ticket.token, "bob": answered.ticket.token}

    async def party(self, node: Node, identity: str) -> AsgiClient:
        return await node.follow(identity, self.channel)

    async def caller(self, node: Node, identity: str) -> tuple[AsgiClient, str]:
        """A party that is in the media room, and the id of its stay."""
        client = await self.party(node, identity)
        self.hello(client, identity)
        welcome = await heard(client)
        assert welcome["type"] == "welcome"
        return client, welcome["stay"]

    def hello(self, client: AsgiClient, identity: str, line: str = "a", **fields: str) -> None:
        self.say(client, {"type": "hello", "version": 1, "token": self.tickets[identity], **fields}, line)

    def say(self, client: AsgiClient, message: object, line: str = "a") -> None:
        client.say("client-utd-signal", {"line": line, "message": message}, channel=self.channel)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with Cluster() as cluster:
        await cluster.begin()
        yield cluster


async def paired(cluster: Cluster) -> tuple[AsgiClient, AsgiClient]:
    """Alice on the second node and Bob on the third, neither of which holds the project."""
    _, second, third = cluster.nodes
    (alice, _), (bob, _) = await cluster.caller(second, "alice"), await cluster.caller(third, "bob")
    assert [(await heard(alice))["type"] for _ in range(2)] == ["joined", "pairing"]
    assert (await heard(bob))["type"] == "pairing"
    return alice, bob


async def test_words_cross_the_nodes_in_order(cluster: Cluster) -> None:
    alice, bob = await paired(cluster)
    candidates = [{"type": "candidate", "generation": 1, "candidate": f"c{n}\n", "mid": None} for n in range(40)]
    for candidate in candidates:
        cluster.say(bob, candidate)
    got = [await heard(alice) for _ in candidates]
    assert [one["candidate"] for one in got] == [one["candidate"] for one in candidates]
    await bob.hear_nothing()


async def test_the_holders_own_clients_and_those_of_others_meet(cluster: Cluster) -> None:
    first, second, _ = cluster.nodes
    alice, _ = await cluster.caller(first, "alice")
    await cluster.caller(second, "bob")
    assert (await heard(alice))["type"] == "joined"


async def test_a_stranger_on_another_node_has_no_line(cluster: Cluster) -> None:
    _, second, _ = cluster.nodes
    mallory = await second.connect("mallory")
    mallory.subscribe(cluster.channel)
    await mallory.hear("pusher:subscription_error")
    cluster.hello(mallory, "alice")
    await mallory.hear("pusher:error")
    # Nor has the node itself, should it be fooled.
    relay = await second.relay()
    ends: list[str] = []
    desk = await relay.signalling(cluster.channel, actor=Actor("mallory"))
    line = desk.open_line(lambda said: ends.append("said"), lambda: ends.append("over"), lambda: ends.append("lost"))
    line.receive(b"{}")
    await cluster.eventually(lambda: ends == ["over"], "the holder's refusal")


async def test_a_party_is_not_heard_as_the_other_one(cluster: Cluster) -> None:
    _, second, _ = cluster.nodes
    bob = await cluster.party(second, "bob")
    cluster.hello(bob, "alice")
    assert (await heard(bob))["reason"] == "bad_token"
    assert (await over(bob))["lost"] is False


async def test_who_leaves_another_node_leaves_the_line(cluster: Cluster) -> None:
    first, second, _ = cluster.nodes
    alice, _ = await cluster.caller(second, "alice")
    await alice.leave()
    backend: Any = first.host._backend
    room = backend.control._board.rooms[f"$shop/call:{cluster.call_id}"]
    await cluster.eventually(lambda: room.stays["alice"].tell is None, "the end of the line")


async def test_a_message_that_the_bus_loses_loses_the_line_and_the_stay_goes_on(cluster: Cluster) -> None:
    _, second, _ = cluster.nodes
    alice, stay = await cluster.caller(second, "alice")
    lost = second.cable.lose_one(b"pong")
    cluster.say(alice, {"type": "ping"})
    await cluster.eventually(lambda: lost, "the loss")
    told = await cluster.run(over(alice))
    assert told["lost"] is True
    cluster.hello(alice, "alice", "b", stay=stay)
    assert (await cluster.run(heard(alice, "b")))["stay"] == stay


async def test_a_bus_that_is_away_for_a_moment_ends_no_stay(cluster: Cluster) -> None:
    first, second, _ = cluster.nodes
    alice, stay = await cluster.caller(second, "alice")
    second.cable.cut()
    await cluster.clock.advance(3.0)
    await second.cable.mend()
    assert (await cluster.run(over(alice)))["lost"] is True
    cluster.hello(alice, "alice", "b", stay=stay)
    assert (await cluster.run(heard(alice, "b")))["stay"] == stay
    assert first.holds


async def test_when_the_holder_ends_lines_are_lost_and_the_next_holder_takes_new_tickets(cluster: Cluster) -> None:
    first, second, third = cluster.nodes
    alice, bob = await paired(cluster)
    await cluster.run(first.aclose())
    for client in (alice, bob):
        assert (await cluster.run(over(client)))["lost"] is True
    # Its control half knows no stay of another's, and the call goes on.
    relay = await second.relay()
    for actor in (ALICE, BOB):
        call: UTDCall = await cluster.run(relay.execute(GetCall(id=cluster.call_id), actor=actor))
        assert call.status is UTDCallStatus.ACTIVE
        assert call.ticket is not None
        cluster.tickets[actor.identity] = call.ticket.token
    for client, identity in ((alice, "alice"), (bob, "bob")):
        cluster.hello(client, identity, "b")
        assert (await cluster.run(heard(client, "b")))["type"] == "welcome"
    assert (await cluster.run(heard(bob, "b")))["type"] == "pairing"
    assert second.holds or third.holds
