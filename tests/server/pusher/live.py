"""A server on a real socket, in this process and on this machine's clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

import pusher
import uvicorn

from utd_core.engine import Engine, EngineSettings
from utd_core.model.command import Actor, Command
from utd_core.model.commands import CreateSession, JoinRoom
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.app import App
from utd_core.server.app_settings import AppSettings
from utd_core.server.projects import Project, SingleHost
from utd_core.server.pusher import UVICORN_OPTIONS, PusherMount, PusherSettings
from utd_core.testing.wait import eventually

PROJECT = Project("4711", "live-key", ("live secret",))
ROOM = "lounge"
CHANNEL = f"private-room.{ROOM}"


class LiveServer:
    """`async with` starts it with a room that a host and ann are in. `options` are uvicorn's, `http` the application's
    settings; the others are those of the sockets."""

    def __init__(
        self, options: dict[str, Any] | None = None, http: AppSettings | None = None, /, **settings: Any
    ) -> None:
        patient = EngineSettings(ticket_ttl=3_600.0)
        self.engine = Engine("mock", settings=patient, app_id=PROJECT.app_id)
        host = SingleHost(self.engine, PROJECT)
        self.mount = PusherMount(host, settings=PusherSettings(**{"connections_per_address": None, **settings}))
        self.app = App(host, mounts=[self.mount], settings=http)
        config = uvicorn.Config(
            self.app,
            port=0,
            lifespan="off",
            log_level="error",
            **{**UVICORN_OPTIONS, "backlog": 8_192, **(options or {})},
        )
        self._server = uvicorn.Server(config)
        self._stack = AsyncExitStack()
        self.port = 0

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.engine)
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup()
        self._stack.push_async_callback(self._server.shutdown)
        await self._stack.enter_async_context(self.app)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        await self.join("host", as_host=True)
        await self.join("ann")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/app/{PROJECT.key}?protocol=7"

    @property
    def origin(self) -> str:
        """That of its pages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def http_connections(self) -> int:
        """Those that are no event sockets (yet)."""
        return len(self._server.server_state.connections)

    @property
    def connections(self) -> int:
        projects = self.mount.statistics().projects
        return projects[PROJECT.app_id].connections if PROJECT.app_id in projects else 0

    async def empty(self) -> None:
        """Everybody is gone."""
        await eventually(lambda: not self.connections, 20)

    async def token(self, identity: str) -> str:
        return str((await self.engine.execute(CreateSession(identity=identity))).user_token)

    async def join(self, identity: str, **fields: Any) -> None:
        await self.do(identity, JoinRoom(room=ROOM, type=UTDStreamType.AUDIO_ROOM, **fields))

    async def do(self, identity: str, command: Command) -> Any:
        return await self.engine.execute(command, actor=Actor(identity))


@contextmanager
def library_of(live: LiveServer, **changes: str) -> Iterator[Any]:
    """The application's server, with the protocol's library."""
    credentials = {"app_id": PROJECT.app_id, "key": PROJECT.key, "secret": PROJECT.secret, **changes}
    server = pusher.Pusher(**credentials, ssl=False, host="127.0.0.1", port=live.port)
    yield server
    # It has no end of its own.
    for half in (server._pusher_client, server._authentication_client):
        half.http.session.close()
