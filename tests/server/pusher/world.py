"""An engine in virtual time, the sockets before it, and short words for what the tests do with them."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Self

from utd_core.bus import MessageBus
from utd_core.engine import Engine, EngineSettings
from utd_core.model.command import THE_SERVER, Actor, Command
from utd_core.model.commands import CreateSession, JoinRoom
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.app import App
from utd_core.server.projects import Hosted, Project
from utd_core.server.pusher import PusherMount, PusherSettings
from utd_core.server.pusher.hub import Hub
from utd_core.server.pusher.signatures import channel_text, credential, user_text
from utd_core.testing import VirtualClock

from .asgi_client import AsgiClient

ROOM = "lounge"
CHANNEL = f"private-room.{ROOM}"
PROJECT = Project("4711", "key", ("the secret", "an older secret"))


class Place:
    """A host whose one project can change."""

    def __init__(self, engine: Engine, project: Project) -> None:
        self.hosted: Hosted | None = Hosted(project, engine)
        self.error: Exception | None = None

    async def find(self, app_id: str) -> Hosted | None:
        return self._look(lambda project: project.app_id == app_id)

    async def find_by_key(self, key: str) -> Hosted | None:
        return self._look(lambda project: project.key == key)

    def change(self, **fields: Any) -> None:
        assert self.hosted is not None
        self.hosted = Hosted(replace(self.hosted.project, **fields), self.hosted.engine)

    def _look(self, fits: Any) -> Hosted | None:
        if self.error is not None:
            raise self.error
        return self.hosted if self.hosted is not None and fits(self.hosted.project) else None


class World:
    """`async with` opens all of it. `bus`: to other nodes; `settings` are those of the sockets."""

    def __init__(self, *, engine: dict[str, Any] | None = None, bus: MessageBus | None = None, **settings: Any) -> None:
        self.clock = VirtualClock()
        # Nobody in these tests has a media connection, and nobody is given up for that.
        patient = EngineSettings(**{"ticket_ttl": 1e6, **(engine or {})})
        self.engine = Engine("mock", clock=self.clock, settings=patient, app_id=PROJECT.app_id)
        self.settings = PusherSettings(**settings)
        self.project = PROJECT
        self.place = Place(self.engine, PROJECT)
        self.mount = PusherMount(self.place, settings=self.settings, bus=bus)
        self.app = App(self.place, mounts=[self.mount])
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.engine)
        await self._stack.enter_async_context(self.app)
        return self

    async def __aexit__(self, *exit: object) -> None:
        await self._stack.aclose()

    @property
    def hub(self) -> Hub:
        return self.mount._hubs[self.project.app_id]

    async def connect(self, **options: Any) -> AsgiClient:
        """A client that is connected; it hangs up when the world ends."""
        return await self._stack.enter_async_context(AsgiClient(self.app, **options))

    async def user(self, identity: str, **options: Any) -> AsgiClient:
        """A client that is signed in with a user token."""
        client = await self.connect(**options)
        client.say("pusher:signin", {"token": await self.token(identity)})
        await client.hear("pusher:signin_success")
        return client

    async def token(self, identity: str) -> str:
        session = await self.engine.execute(CreateSession(identity=identity))
        return str(session.user_token)

    async def follower(self, identity: str, channel: str = CHANNEL, **fields: Any) -> AsgiClient:
        """A client that follows a channel of the engine as somebody."""
        client = await self.user(identity)
        client.subscribe(channel, **fields)
        await client.hear("pusher_internal:subscription_succeeded")
        return client

    def auth(
        self, client: AsgiClient, channel: str, data: Any = None, project: Project | None = None
    ) -> dict[str, str]:
        """What the application's server signs so that a client may follow a channel."""
        text = data if data is None or isinstance(data, str) else json.dumps(data)
        signed = credential(project or self.project, channel_text(client.socket_id, channel, text))
        return {"auth": signed} if text is None else {"auth": signed, "channel_data": text}

    def user_auth(self, client: AsgiClient, data: Any) -> dict[str, str]:
        """What it signs so that a client is a user."""
        text = json.dumps(data)
        return {"auth": credential(self.project, user_text(client.socket_id, text)), "user_data": text}

    async def member(self, channel: str, user_id: str, **user_info: Any) -> AsgiClient:
        """A client in a presence channel."""
        client = await self.connect()
        client.subscribe(channel, **self.auth(client, channel, {"user_id": user_id, "user_info": user_info}))
        await client.hear("pusher_internal:subscription_succeeded")
        return client

    async def join(self, identity: str, room: str = ROOM, **fields: Any) -> None:
        await self.do(identity, JoinRoom(room=room, type=UTDStreamType.AUDIO_ROOM, **fields))

    async def do(self, identity: str, command: Command) -> Any:
        actor = THE_SERVER if identity == "$server" else Actor(identity)
        return await self.engine.execute(command, actor=actor)
