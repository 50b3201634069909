"""A stock pusher-js in a process of its own, in Node or in a headless Chromium."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.node import JS, node_process

from .live import PROJECT, LiveServer

DEADLINE = 15.0


class StockClient:
    """What it reports is kept until somebody waits for it."""

    def __init__(self, process: Process, server: LiveServer) -> None:
        self._process = process
        self._server = server
        self._kept: list[dict[str, Any]] = []

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

    async def do(self, command: str, **fields: Any) -> Any:
        """What a command is answered."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **fields}).encode() + b"\n")
        answer = await self.hear(what="answer")
        assert "failure" not in answer, answer
        return answer["answer"]

    async def follow(self, channel: str) -> Any:
        """Subscribe, and answer what it is told when that has succeeded."""
        await self.do("subscribe", channel=channel)
        return (await self.hear(channel=channel, event="pusher:subscription_succeeded"))["data"]

    async def hear(self, **fields: Any) -> dict[str, Any]:
        """The first report with these fields that nobody has waited for yet; those before it are kept."""
        for kept in self.heard(**fields):
            self._kept.remove(kept)
            return kept
        while True:
            try:
                report = await asyncio.wait_for(self._next(), DEADLINE)
            except (TimeoutError, EOFError) as error:
                raise AssertionError(f"{fields} was waited for in vain; the client reported {self._kept}") from error
            if fields.items() <= report.items():
                return report
            self._kept.append(report)

    async def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise EOFError
        report: dict[str, Any] = json.loads(line)
        return report

    def heard(self, **fields: Any) -> list[dict[str, Any]]:
        """Reports with these fields that came while something else was waited for."""
        return [report for report in self._kept if fields.items() <= report.items()]


@asynccontextmanager
async def stock_client(
    server: LiveServer, runtime: str, folder: Path, *, page: LiveServer | None = None
) -> AsyncIterator[StockClient]:
    """`runtime`: "node" or "chromium", there in a page of the server, or in one of another server (`page`)."""
    about = (JS / "main.mjs", folder, runtime, f"{(page or server).origin}/health")
    async with node_process(folder, *about, patience=DEADLINE) as process:
        client = StockClient(process, server)
        await client.hear(what="ready")
        yield client
