"""The Pusher Channels protocol as a part of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ...bus import LocalMessages, MessageBus, Questions
from ...errors import Closed, ErrorCode, InvalidInput, NotFound
from ..answers import answer
from ..app_settings import AppSettings
from ..http.rates import Rates
from ..mounts import EVENTS, check_method
from ..paths import segments_of
from ..projects import Host, Hosted
from .auth import AuthApi
from .door import Door
from .frames import json_text
from .hub import Hub, HubStatistics
from .settings import PusherSettings
from .trigger import TriggerApi


@dataclass(frozen=True, slots=True)
class PusherStatistics:
    """`projects`: those that ever had a connection, by app id. `refused`: connections that were not let in, by code."""

    projects: Mapping[str, HubStatistics]
    refused: Mapping[int, int]


class PusherMount:
    """Event sockets, the trigger API and the signing of subscriptions, for all projects of a host. A `Mount`.

    `bus` is how the nodes of a server talk to each other; one that is handed in is open, and its owner's to close.
    `rates` are those that triggers share with commands.
    """

    prefixes = (EVENTS, "/apps/", "/users/", "/api/v1/channels/")

    def __init__(
        self,
        host: Host,
        *,
        settings: PusherSettings | None = None,
        bus: MessageBus | None = None,
        rates: Rates | None = None,
    ) -> None:
        self._host = host
        self._settings = settings or PusherSettings()
        self._bus = bus or LocalMessages()
        self._owns_bus = bus is None
        self._questions = Questions(self._bus)
        self._hubs: dict[str, Hub] = {}
        self._opening = asyncio.Lock()
        self._closed = False
        self._door = Door(host, self._settings, self._hub_of)
        rates = Rates(AppSettings().max_buckets) if rates is None else rates
        self._trigger = TriggerApi(host, self._settings, self._questions, rates)
        self._auth = AuthApi(host, self._settings, rates)

    async def open(self) -> None:
        """Raises `Closed` after `aclose`, and `Unavailable` where the other nodes cannot be reached."""
        self._check_open()
        if self._owns_bus:
            await self._bus.open()
        await self._questions.open()

    async def aclose(self) -> None:
        """Send every client away with 4200, and end. Idempotent."""
        self._closed = True
        async with self._opening:
            await asyncio.gather(*(hub.aclose() for hub in self._hubs.values()))
            self._hubs.clear()
            await self._questions.aclose()
            if self._owns_bus:
                await self._bus.aclose()

    async def drain(self) -> None:
        """Take nobody in any more, and send every client to another node (4200). For a server that is about to end."""
        self._closed = True
        await asyncio.gather(*(hub.drain() for hub in list(self._hubs.values())))

    def statistics(self) -> PusherStatistics:
        projects = {app_id: hub.statistics() for app_id, hub in self._hubs.items()}
        return PusherStatistics(projects, dict(self._door.refused))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._door.serve(scope, receive, send)
            return
        request = Request(scope, receive)
        segments = segments_of(scope)
        match segments:
            case None:
                raise InvalidInput("the path is not UTF-8; encode it so", 400)
            case ["api", "v1", "channels", "auth" | "user-auth" as what]:
                check_method(scope, "POST")
                answered = await (self._auth.channel if what == "auth" else self._auth.user)(request)
            case ["apps" | "users", *_]:
                answered = await self._trigger.serve(request, segments)
            case ["app", *_]:
                raise NotFound(
                    "event sockets are here; connect with a WebSocket (ws:// or wss://) to /app/{key}?protocol=7",
                    code=ErrorCode.ROUTE_NOT_FOUND,
                )
            case _:
                raise NotFound("there is nothing at this path; look at its URL", code=ErrorCode.ROUTE_NOT_FOUND)
        await answer(json_text(answered).encode())(scope, receive, send)

    async def _hub_of(self, hosted: Hosted) -> Hub:
        """The hub of a project, opened now where it is not. Raises `Closed` or `Unavailable`."""
        app_id = hosted.project.app_id
        hub = self._hubs.get(app_id)
        if hub is None or hub.engine is not hosted.engine:
            async with self._opening:
                self._check_open()
                hub = self._hubs.get(app_id)
                if hub is not None and hub.engine is not hosted.engine:
                    await hub.aclose()
                    hub = None
                if hub is None:
                    hub = Hub(self._host, hosted, self._questions, self._settings)
                    await hub.open()
                    self._hubs[app_id] = hub
        hub.project = hosted.project
        return hub

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the server is ending")
