"""One of two LiveKit nodes is killed: its rooms come back on the other one, whose own rooms go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import count, cycle

import pytest

from tests.redis import RedisServer, free_port
from utd_core.client import SessionState, UTDAudioRoomSession
from utd_core.engine import Engine
from utd_core.media.backend import ConnectOptions, JoinTicket
from utd_core.model.command import THE_SERVER
from utd_core.model.commands import ListParticipants
from utd_core.testing.wait import eventually
from utd_livekit.backend import LiveKitBackend
from utd_livekit.connection import LiveKitConnection
from utd_livekit.server.local import LocalServer
from utd_livekit.server.wire import Wire

from .hearing import PATIENCE, Gap, hears, hum

pytestmark = pytest.mark.heavy

PEOPLE = ("ann", "bob")
"""Who come in by the first node and by the second."""
OUTAGE = 3.0
"""Seconds in which nobody takes over yet."""


class ByTurns(LiveKitBackend):
    """Each connection comes in by another node than the one before, as behind a load balancer."""

    def __init__(self, server: LocalServer, doors: list[str]) -> None:
        super().__init__({**server.settings, "url": doors[-1]})
        self._doors = cycle(doors)

    async def connect(self, ticket: JoinTicket, options: ConnectOptions | None = None) -> LiveKitConnection:
        return await super().connect(replace(ticket, url=next(self._doors)), options)


@dataclass
class Room:
    """Two people on seats. `node`: the number of the one that has it."""

    name: str
    sessions: list[UTDAudioRoomSession]
    node: int = 0
    states: list[list[SessionState]] = field(default_factory=list)

    async def everybody_hears(self) -> None:
        first, second = self.sessions
        await asyncio.gather(hears(first, "bob"), hears(second, "ann"))

    @property
    def seats(self) -> list[int | None]:
        return [None if session.seat is None else session.seat.index for session in self.sessions]

    def watch(self) -> None:
        """Note the states from now on."""
        for session in self.sessions:
            self.states.append([])
            session.state.subscribe(self.states[-1].append)


@pytest.fixture
def nodes(built_server: object, server: LocalServer) -> Iterator[list[LocalServer]]:
    """Two, with one Redis and one set of keys."""
    redis = RedisServer(port=free_port())
    pair: list[LocalServer] = []
    try:
        redis.start()
        pair += [LocalServer(redis=redis.tcp_url().removeprefix("redis://")) for _ in PEOPLE]
        pair[1].api_secret, pair[1].webhooks = pair[0].api_secret, pair[0].webhooks
        for node in pair:
            node.start()
        yield pair
    finally:
        for node in pair:
            node.stop()
        redis.close()


@pytest.fixture
async def engine(nodes: list[LocalServer]) -> AsyncIterator[Engine]:
    async with AsyncExitStack() as stack:
        first, second = [node.url for node in nodes]
        wires = [await stack.enter_async_context(Wire(*urls)) for urls in ((first, second), (second, first))]
        backend = ByTurns(nodes[0], [await wire.open() for wire in wires])
        yield await stack.enter_async_context(Engine(await stack.enter_async_context(backend)))


async def node_of(session: UTDAudioRoomSession, nodes: list[LocalServer]) -> int | None:
    """The number of the one that the media of a session go to, None while they go nowhere."""
    stats = await session.room.native.get_rtc_stats()
    far = (entry for entry in (*stats.subscriber_stats, *stats.publisher_stats) if entry.HasField("remote_candidate"))
    ports = {entry.remote_candidate.candidate.port for entry in far}
    return next((number for number, node in enumerate(nodes) if node.media_port in ports), None)


async def open_room(name: str, engine: Engine, nodes: list[LocalServer], stack: AsyncExitStack) -> Room:
    sessions = []
    for who in PEOPLE:
        client = await stack.enter_async_context(engine.client(who, microphone=hum(who)))
        sessions.append(await stack.enter_async_context(await client.join_audio_room(name, as_host=who == PEOPLE[0])))
    room = Room(name, sessions)
    for number, session in enumerate(sessions):
        await session.take_seat(number)
    await room.everybody_hears()
    found = await node_of(sessions[0], nodes)
    assert found is not None
    room.node = found
    return room


async def test_a_killed_node_loses_no_room_and_the_rooms_of_the_other_one_go_on(
    engine: Engine, nodes: list[LocalServer]
) -> None:
    async with AsyncExitStack() as stack:
        rooms: dict[int, Room] = {}
        for number in count():
            async with AsyncExitStack() as trying:
                room = await open_room(f"room-{number}", engine, nodes, trying)
                if room.node not in rooms:
                    rooms[room.node] = room
                    stack.push_async_callback(trying.pop_all().aclose)
            if len(rooms) == len(nodes):
                break
        lost, kept = rooms[0], rooms[1]
        for room in rooms.values():
            room.watch()
        connections = [session.room.native for session in kept.sessions]
        gap = Gap(kept.sessions[0], "bob")
        measuring = asyncio.create_task(gap.measure())

        await asyncio.to_thread(nodes[0].kill)
        await eventually(lambda: all(lost.states), PATIENCE, what="everybody there has noticed")
        for session in (*lost.sessions, *kept.sessions):
            await session.state.wait_for(lambda state: state is SessionState.CONNECTED, PATIENCE)
        await lost.everybody_hears()
        await kept.everybody_hears()
        measuring.cancel()

        assert await node_of(lost.sessions[0], nodes) == 1
        assert lost.seats == kept.seats == [0, 1]
        for room in rooms.values():
            present = await engine.execute(ListParticipants(room=room.name), actor=THE_SERVER)
            assert {each.identity for each in present.data} == set(PEOPLE)
        assert gap.longest < OUTAGE, "sound went on"
        assert [session.room.native for session in kept.sessions] == connections
        assert kept.states[1] == [], "who came in by the other node notices nothing"
