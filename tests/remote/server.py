"""An engine behind a real uvicorn, on a loopback port of this event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import uvicorn

from tests.client.world import STEADY, a_project
from utd_core.client import UTDStreamClient
from utd_core.client.remote import RemoteLink
from utd_core.engine import Engine
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_core.server import App, Project, SingleHost
from utd_core.server.pusher import UVICORN_OPTIONS, PusherMount, PusherSettings
from utd_core.testing.wait import eventually
from utd_mock import MockBackend


class QuietServer(uvicorn.Server):
    """One of several things that a process does: signals are not its business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Serving:
    """`app` on `port` (0: any that is free) until `aclose()`; `abort()` is what a crash looks like from outside."""

    def __init__(self, app: Any, port: int = 0) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(app, lifespan="off", log_level="critical", access_log=False, **UVICORN_OPTIONS)
        self._server = QuietServer(config)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="uvicorn")
        await eventually(lambda: self._server.started, what="the server's start")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End it, as SIGTERM would. Idempotent."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=10)
        self._socket.close()

    async def abort(self) -> None:
        """Cut every connection, and be gone."""
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        self._server.force_exit = True
        await self.aclose()


class RealWorld:
    """One engine on the mock; its server can be stopped and started again on the same port."""

    def __init__(self, *, pusher: PusherSettings | None = None) -> None:
        self.backend = MockBackend({})
        self.engine = Engine(self.backend, app_id="real")
        self.project: Project = a_project("real")
        self._pusher = pusher
        self.port = 0
        self.app: App
        self.serving: Serving

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, identity: str, **options: Any) -> UTDStreamClient:
        """Somebody who talks with the server."""
        given = {"microphone": ToneAudioSource, "retry": STEADY, **options}
        return UTDStreamClient(
            self.project.app_id,
            self.project.key,
            base_url=self.base_url,
            media=self.backend,
            identity=identity,
            **given,
        )

    def link(self, **options: Any) -> RemoteLink:
        given = {"base_url": self.base_url, "media": self.backend, **options}
        return RemoteLink(self.project.app_id, self.project.key, **given)

    async def start(self) -> None:
        """Serve, on the port of the last time."""
        host = SingleHost(self.engine, self.project)
        self.app = App(host, mounts=[PusherMount(host, settings=self._pusher)])
        self.serving = await Serving(self.app, self.port).__aenter__()
        self.port = self.serving.port

    async def stop(self) -> None:
        """Send everybody away, and serve no longer."""
        await self.app.aclose()
        await self.serving.aclose()

    async def crash(self) -> None:
        """Serve no longer, from one moment to the next."""
        await self.serving.abort()
        await self.app.aclose()

    async def __aenter__(self) -> Self:
        await self.engine.__aenter__()
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        await self.engine.aclose()
        await self.backend.aclose()
