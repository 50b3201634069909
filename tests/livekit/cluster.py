"""Two engine nodes (`utd serve`) and two LiveKit nodes on one PostgreSQL and one Redis, and people who enter by one of
each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.cluster.balancer import Balancer
from tests.cluster.fleet import HEADERS, PROJECT, PROJECT_SETTINGS, Node
from tests.postgres import PostgresServer
from tests.redis import RedisServer
from tests.server.serving.process import served
from utd_core.client import UTDStreamClient
from utd_core.media.backend import ConnectOptions, JoinTicket
from utd_core.testing.wait import eventually
from utd_livekit.backend import LiveKitBackend
from utd_livekit.connection import LiveKitConnection
from utd_livekit.server.local import LocalServer
from utd_livekit.server.wire import Wire

from .hearing import hum

SETTINGS = f"""
log_format = "json"
media = "livekit"
{PROJECT_SETTINGS}
[engine]
return_grace = 3
"""


class Door(LiveKitBackend):
    """One LiveKit node's, whichever node a ticket names."""

    def __init__(self, url: str) -> None:
        super().__init__({"url": ""})
        self._url = url

    async def connect(self, ticket: JoinTicket, options: ConnectOptions | None = None) -> LiveKitConnection:
        return await super().connect(replace(ticket, url=self._url), options)


class Side:
    """One way in: an engine node first, and the other one where that is gone; and one LiveKit node."""

    def __init__(self, engine: Balancer, door: Door) -> None:
        self.engine = engine
        self.door = door

    def client(self, identity: str) -> UTDStreamClient:
        """Somebody whose microphone hums."""
        return UTDStreamClient(
            PROJECT.app_id,
            PROJECT.key,
            base_url=self.engine.url,
            media=self.door,
            identity=identity,
            microphone=hum(identity),
        )

    def http(self) -> httpx.AsyncClient:
        """The application's server, at this side's engine."""
        return httpx.AsyncClient(base_url=self.engine.url, headers=HEADERS, timeout=60.0)


class Cluster:
    """`nodes`: of the engine; `sides`: as many ways in; `sfus`: the LiveKit nodes."""

    def __init__(self, nodes: list[Node], sides: list[Side], sfus: list[LocalServer]) -> None:
        self.nodes = nodes
        self.sides = sides
        self.sfus = sfus

    async def find_holder(self) -> int:
        """The number of the node that works for the project."""
        await eventually(lambda: any(node.held_at for node in self.nodes), 60.0, what="somebody holds the project")
        return max(range(len(self.nodes)), key=lambda number: self.nodes[number].held_at)


@asynccontextmanager
async def cluster(folder: Path, postgres: PostgresServer, redis: RedisServer) -> AsyncIterator[Cluster]:
    """All of them running. `redis` listens on loopback, too."""
    (folder / "utd.toml").write_text(SETTINGS)
    nodes: list[Node] = []
    async with AsyncExitStack() as stack:
        address = redis.tcp_url().removeprefix("redis://")
        sfus = [LocalServer(redis=address), LocalServer(redis=address)]
        sfus[1].api_secret = sfus[0].api_secret
        told = await stack.enter_async_context(Balancer(lambda: [node.url for node in nodes if node.serves]))
        doors = []
        for sfu in sfus:
            sfu.webhooks = urlsplit(told.url).port or 0
            await asyncio.to_thread(stack.enter_context, sfu)
            wire = await stack.enter_async_context(Wire(sfu.url))
            doors.append(await stack.enter_async_context(Door(await wire.open())))
        for sfu in sfus:
            settings = {name: value for name, value in sfu.settings.items() if name != "webhooks"}
            environment = {
                "UTD_STORE": postgres.url(),
                "UTD_BUS": redis.url,
                "UTD_MEDIA_SETTINGS": json.dumps(settings),
            }
            nodes.append(Node(stack.enter_context(served(folder, dev=False, **environment))))
        for node in nodes:
            await asyncio.to_thread(node.wait_until_ready)
        balancers = [
            await stack.enter_async_context(Balancer(partial(_in_order, nodes, number))) for number in range(len(nodes))
        ]
        for balancer in (told, *balancers):
            await eventually(lambda: 200 in balancer.said.values(), 60.0, what="a balancer knows its nodes")  # noqa: B023
        yield Cluster(nodes, [Side(*both) for both in zip(balancers, doors, strict=True)], sfus)


def _in_order(nodes: list[Node], first: int) -> list[str]:
    """The URL of the first of them that is meant to answer, beginning with this one."""
    return [node.url for node in nodes[first:] + nodes[:first] if node.serves][:1]
