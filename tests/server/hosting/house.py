"""Servers on one database, in virtual time, their HTTP clients, and `utd project` beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from utd_core.bus import LocalMessages
from utd_core.model.command import Command
from utd_core.model.commands import CreateSession
from utd_core.model.wire import request_of
from utd_core.server import Project
from utd_core.server.hosting.host import INTERVAL
from utd_core.server.hosting.registry import Registry
from utd_core.server.hosting.vault import Vault
from utd_core.server.serving.node import Node
from utd_core.server.settings import ServerSettings
from utd_core.store.sql_store import SqlStore
from utd_core.testing import VirtualClock
from utd_mock import MockServer


class Guest:
    """Somebody with a credential at one node. Methods answer the response, whatever it is."""

    def __init__(self, http: httpx.AsyncClient, headers: Mapping[str, str]) -> None:
        self._http = http
        self._headers = dict(headers)

    async def give(self, command: Command) -> httpx.Response:
        request = request_of(command)
        headers = {"content-type": "application/json", **self._headers} if request.body else self._headers
        return await self._http.request(request.method, request.target, content=request.body, headers=headers)

    async def code(self, command: Command) -> str:
        """The code of the error that it is refused with; "ok" where it is not."""
        response = await self.give(command)
        return "ok" if response.is_success else str(response.json()["code"])


class Open:
    """An open node."""

    def __init__(self, node: Node, http: httpx.AsyncClient) -> None:
        self.node = node
        self.http = http

    def server(self, project: Project) -> Guest:
        """The application's own server."""
        return Guest(self.http, {"X-App-Id": project.app_id, "X-App-Secret": project.secret})

    def bearer(self, token: str) -> Guest:
        return Guest(self.http, {"Authorization": f"Bearer {token}"})

    async def token(self, project: Project, identity: str) -> str:
        """A user token, as the application's server gets one for somebody."""
        response = await self.server(project).give(CreateSession(identity=identity))
        return str(response.json()["user_token"])

    async def metrics(self) -> str:
        return (await self.http.get("/metrics")).text


class House:
    """`store`: open, on the database that the nodes name by `target`. `bus`: theirs, to be opened."""

    def __init__(self, target: str, store: SqlStore, key: str) -> None:
        self.clock = VirtualClock()
        self.media = MockServer(self.clock)
        self.vault = Vault(key)
        self.registry = Registry(store.projects)
        self.bus = LocalMessages()
        self._target = target

    async def create(self, app_id: str, **options: Any) -> Project:
        return await self.registry.create(self.vault, app_id=app_id, **options)

    @asynccontextmanager
    async def node(self, **given: Any) -> AsyncIterator[Open]:
        settings = {"store": self._target, "media_settings": {"server": self.media}, **given}
        node = Node(ServerSettings(**settings), clock=self.clock, bus=self.bus)
        transport = httpx.ASGITransport(node.app)
        async with node, httpx.AsyncClient(transport=transport, base_url="http://rtc.example.com") as http:
            yield Open(node, http)

    async def noticed(self) -> None:
        """Return when every node knows what has been changed."""
        await self.clock.advance(INTERVAL)
        await self.clock.settle()
