"""A room on two engine nodes and two LiveKit nodes: who enters where makes no difference, and a node that is killed
takes nothing with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.postgres import PostgresServer
from tests.redis import RedisServer, free_port
from utd_core.client import UTDCallStatus
from utd_core.client.models import Resynced
from utd_core.media.backend import JoinTicket
from utd_core.model.room import MetadataChanged
from utd_core.testing.wait import eventually
from utd_livekit.connection import LiveKitConnection
from utd_livekit.server.local import LocalServer

from .cluster import Cluster, Side, cluster
from .hearing import PATIENCE, Gap
from .household import ROOM, household

pytestmark = pytest.mark.heavy

OUTAGE = 3.0
"""Seconds in which nobody takes over yet."""


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """One that LiveKit reaches, too."""
    server = RedisServer(port=free_port())
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
async def two_by_two(
    tmp_path: Path, postgres_server: PostgresServer, redis: RedisServer, server: LocalServer
) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path, postgres_server, redis) as running:
        yield running


async def test_killing_the_node_that_served_everybody_takes_no_seat_no_call_and_no_sound(two_by_two: Cluster) -> None:
    holder = await two_by_two.find_holder()
    near, far = two_by_two.sides[holder], two_by_two.sides[1 - holder]
    people = [side.client(who) for side, who in ((near, "ann"), (far, "bob"), (near, "cat"), (far, "dan"))]
    async with household(people) as home:
        rooms, calls = home.rooms, home.calls
        async with far.http() as http:
            guest = await visit(near, http, "guest")
            assert await roster(http) == {"ann", "bob", "guest"}

        connections = [session.room.native for session in home.sessions]
        news = [room.events.reader(capacity=1_000) for room in rooms]
        gap = Gap(rooms[0], "bob")
        measuring = asyncio.create_task(gap.measure())
        await two_by_two.nodes[holder].kill()
        await guest.aclose()

        await rooms[0].update_metadata({"after": "the fall"})
        for room in rooms:
            await room.metadata.wait_for(lambda metadata: "after" in metadata, PATIENCE)
        assert await two_by_two.find_holder() == 1 - holder
        home.check_places()
        assert [session.room.native for session in home.sessions] == connections, "no media connection was made anew"
        await home.everybody_hears()
        measuring.cancel()
        assert gap.longest < OUTAGE, "sound went on while no engine was there"
        told = [list(iter(reader.get_nowait, None)) for reader in news]
        resynced = [[each.recovered for each in heard if isinstance(each, Resynced)] for heard in told]
        assert resynced[0] == [True], "she was served by the node that is gone"
        assert all(resynced[1])
        assert [sum(isinstance(each, MetadataChanged) for each in heard) for heard in told] == [1, 1]
        async with near.http() as http:
            assert await roster(http) == {"ann", "bob"}
            late = await visit(near, http, "late")
            assert await roster(http) == {"ann", "bob", "late"}
            await late.aclose()
            await eventually(lambda: gone(http), PATIENCE)
        await rooms[1].leave_seat()
        await calls[0].end()
        await calls[1].status.wait_for(lambda status: status is UTDCallStatus.ENDED, PATIENCE)


async def visit(side: Side, http: httpx.AsyncClient, identity: str) -> LiveKitConnection:
    """Somebody's media connection without a client behind it."""
    wanted = {"room": ROOM, "type": "audio_room", "identity": identity}
    ticket = (await http.post("/api/v1/token", json=wanted)).raise_for_status().json()
    return await side.door.connect(JoinTicket(ticket["url"], ticket["token"], ticket["expires_at"]))


async def roster(http: httpx.AsyncClient) -> set[str]:
    present = (await http.get(f"/api/v1/rooms/{ROOM}/participants")).raise_for_status().json()
    return {each["identity"] for each in present["data"]}


async def gone(http: httpx.AsyncClient) -> bool:
    return await roster(http) == {"ann", "bob"}
