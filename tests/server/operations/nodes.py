"""A node in this process, in virtual time, and an HTTP client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from utd_core.engine import Engine
from utd_core.server.serving.node import Node
from utd_core.server.settings import ServerSettings
from utd_core.testing import VirtualClock

APP, KEY, SECRET = "shop", "key-of-the-shop-1", "secret-of-the-shop"
HEADERS = {"X-App-Id": APP, "X-App-Secret": SECRET}


@dataclass
class Running:
    """`http` shows the project's secret."""

    node: Node
    http: httpx.AsyncClient
    clock: VirtualClock

    @property
    def engine(self) -> Engine:
        return self.node.host.running[APP].engine

    async def sample(self, name: str, **labels: str) -> float:
        """A figure of /metrics: the sum of all that have these labels; 0 without any."""
        page = (await self.http.get("/metrics")).text
        found = [line for line in page.splitlines() if line.partition("{")[0].partition(" ")[0] == name]
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(line.rpartition(" ")[2]) for line in found if all(each in line for each in wanted))


def settings(**given: Any) -> ServerSettings:
    """Settings of a node with its state in memory."""
    project = {"app_id": APP, "key": KEY, "secrets": [SECRET], "flags": {"allow_app_key_identity_mint": True}}
    return ServerSettings(**{"store": ":memory:", "project": project, **given})


@asynccontextmanager
async def a_node(clock: VirtualClock, **given: Any) -> AsyncIterator[Running]:
    node = Node(settings(**given), clock=clock)
    transport = httpx.ASGITransport(node.app)
    async with node, httpx.AsyncClient(transport=transport, base_url="http://utd", headers=HEADERS) as http:
        yield Running(node, http, clock)
