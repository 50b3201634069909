"""A stock pusher-js in a process of its own, in Node or in a headless Chromium."""

from __future__ import annotations

from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.node import Program, node_process

from .live import PROJECT, LiveServer

MAIN = Path(__file__).parent / "js/main.mjs"
DEADLINE = 15.0


class StockClient(Program):
    """Does what driver.js can."""

    def __init__(self, process: Process, server: LiveServer) -> None:
        super().__init__(process, DEADLINE)
        self._server = server

    async def connect(self, token: str | None = None, **auth: Any) -> str:
        """Connect, and answer the socket's id. What a token's user may is asked of our own endpoints."""
        if token is not None:
            auth = {"headers": {"Authorization": f"Bearer {token}"}}
        await self.do("connect", key=PROJECT.key, options=self.options(**auth))
        return str((await self.hear(what="state", state="connected"))["socket"])

    def options(self, **auth: Any) -> dict[str, Any]:
        """How pusher-js finds the server."""
        api = f"http://127.0.0.1:{self._server.port}/api/v1/channels"
        return {
            "wsHost": "127.0.0.1",
            "wsPort": self._server.port,
            "forceTLS": False,
            "cluster": "",
            "enabledTransports": ["ws"],
            "channelAuthorization": {"endpoint": f"{api}/auth", "transport": "ajax", **auth},
            "userAuthentication": {"endpoint": f"{api}/user-auth", "transport": "ajax", **auth},
        }

    async def follow(self, channel: str) -> Any:
        """Subscribe, and answer what it is told when that has succeeded."""
        await self.do("subscribe", channel=channel)
        return (await self.hear(channel=channel, event="pusher:subscription_succeeded"))["data"]


@asynccontextmanager
async def stock_client(
    server: LiveServer, runtime: str, folder: Path, *, page: LiveServer | None = None
) -> AsyncIterator[StockClient]:
    """`runtime`: "node" or "chromium", there in a page of the server, or in one of another server (`page`)."""
    about = (MAIN, folder, runtime, f"{(page or server).origin}/health")
    async with node_process(folder, *about, patience=DEADLINE) as process:
        client = StockClient(process, server)
        await client.hear(what="ready")
        yield client
