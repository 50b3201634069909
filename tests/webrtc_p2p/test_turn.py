"""Calls through a real TURN server, and what is said when it does not let somebody in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.coturn import ROOT, TurnServer, find_program, turn_server  # noqa: F401  # a fixture
from tests.docs.blocks import read_blocks
from utd_core.concurrency import SystemClock
from utd_core.errors import DeadlineExceeded
from utd_core.media.backend import ConnectOptions
from utd_core.media.events import ConnectionState, StateChanged

from .test_voice import more_than, speak
from .voice import likeness
from .world import MICROPHONE, Person, Stage, stage

pytestmark = pytest.mark.heavy


PAGE = ROOT / "docs/how-to/turn.md"


@asynccontextmanager
async def relayed(server: TurnServer, transport: str = "udp", **settings: Any) -> AsyncIterator[Stage]:
    """A room where nothing but that TURN server is used."""
    given = {"turn_urls": (server.url(transport),), "turn_secret": server.secret, "relay_only": True, **settings}
    async with stage(**given) as here:
        yield here


def candidates(person: Person) -> tuple[set[str], set[str]]:
    """The kinds of candidates that a person's peer connection has: here, and from the other side."""
    peer = person.connection.native.peer
    assert peer is not None
    ours, theirs = peer._candidates()
    return set(ours), set(theirs)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_voice_arrives_through_nothing_but_the_relay(turn_server: TurnServer, transport: str) -> None:  # noqa: F811
    async with relayed(turn_server, transport) as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        assert candidates(ann) == candidates(bob) == ({"relay"}, {"relay"})
        track = await ann.publish(MICROPHONE)
        frames = bob.collect(await bob.reads(track))
        await speak(here, track)
        await more_than(150, frames)
        assert await likeness(frames) >= 0.8


async def test_with_a_relay_at_hand_the_straight_way_is_still_offered(turn_server: TurnServer) -> None:  # noqa: F811
    async with relayed(turn_server, relay_only=False) as here:
        ann, _ = await here.join("ann"), await here.join("bob")
        assert {"host", "relay"} <= candidates(ann)[0]


async def test_a_wrong_secret_is_suspected_by_name(turn_server: TurnServer) -> None:  # noqa: F811
    async with relayed(turn_server, turn_secret="another") as here:
        await refused(here)


async def test_an_expired_credential_is_suspected_by_name(turn_server: TurnServer) -> None:  # noqa: F811
    async with relayed(turn_server, turn_ttl=60.0, clock=Behind()) as here:
        await refused(here)


async def test_a_silent_turn_server_is_suspected_by_name() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        urls = (f"turn:127.0.0.1:{silent.getsockname()[1]}?transport=udp",)
        async with stage(turn_urls=urls, turn_secret="any", relay_only=True) as here:
            await refused(here)


async def test_a_relay_that_goes_away_is_a_dead_way_and_its_return_a_new_one(turn_server: TurnServer) -> None:  # noqa: F811
    async with relayed(turn_server, heartbeat=0.2, heartbeat_timeout=1.0, path_timeout=3.0) as here:
        ann, bob = await here.join("ann"), await here.join("bob")
        await asyncio.to_thread(turn_server.stop)
        for person in (ann, bob):
            await person.expect(StateChanged, lambda event: event.state is ConnectionState.RECONNECTING)
        await asyncio.to_thread(turn_server.start)
        for person in (ann, bob):
            await person.expect(StateChanged, lambda event: event.state is ConnectionState.CONNECTED)
        track = await ann.publish(MICROPHONE)
        frames = bob.collect(await bob.reads(track))
        await speak(here, track)
        await more_than(100, frames)


async def test_the_configuration_in_the_book_is_a_server_that_lets_in_whom_the_engine_lets_in() -> None:
    (shown,) = (block for block in read_blocks(PAGE) if block.title == "turnserver.conf")
    server = TurnServer(find_program(), [*shown.code.splitlines(), "allow-loopback-peers"])
    try:
        await asyncio.to_thread(server.start)
        async with relayed(server) as here:
            ann, _ = await here.join("ann"), await here.join("bob")
            assert candidates(ann)[0] == {"relay"}
    finally:
        server.close()


class Behind(SystemClock):
    """An engine's clock that is two hours late, and so are the credentials that it makes."""

    def now(self) -> float:
        return super().now() - 7_200.0


async def refused(here: Stage) -> None:
    """The second to come is told why there is no way, within the time for it."""
    await here.join("ann")
    with pytest.raises(DeadlineExceeded) as caught:
        await here.join("bob", options=ConnectOptions(deadline=1.5))
    said = str(caught.value)
    assert "the TURN server gave no candidate: its credentials may be wrong or expired, or it is away" in said
    assert "candidates here: none" in said
