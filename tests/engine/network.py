"""The same engine, reached as a server: people through the remote client, the application's server by plain requests.

Requests and sockets are played on the test's own loop, and in its time.
"""

from __future__ import annotations

from typing import Any

import httpx

from utd_core.broker.base import Recover, Subscription
from utd_core.client.policy import RetryPolicy
from utd_core.client.remote import ASGITransport, RemoteLink
from utd_core.client.remote.answers import Again, refusal_of, result_of
from utd_core.engine import Engine
from utd_core.model.codec import adapter
from utd_core.model.command import Actor, Command
from utd_core.model.wire import request_of
from utd_core.server import App, Project, ProjectFlags, ProjectLimits, SingleHost
from utd_core.server.pusher import PusherMount
from utd_core.testing import VirtualClock

BASE_URL = "http://engine.test"
SECRET = "secret"


class Network:
    """What stands between an engine and those who use it."""

    def __init__(self, engine: Engine, clock: VirtualClock) -> None:
        self._project = Project(
            engine.app_id,
            "key",
            (SECRET,),
            flags=ProjectFlags(allow_app_key_identity_mint=True),
            limits=ProjectLimits(identity_commands_per_second=None),
        )
        host = SingleHost(engine, self._project)
        self._clock = clock
        self._app = App(host, mounts=[PusherMount(host)])
        self._transport = ASGITransport(self._app)
        self._http: httpx.AsyncClient | None = None
        self._links: dict[Actor, RemoteLink] = {}

    async def sign_in(self, actor: Actor) -> None:
        """What anything else does first. Raises as `Engine.execute` does for `CreateSession`."""
        await self._link(actor)

    async def give(self, command: Command, actor: Actor, key: str | None) -> Any:
        """Give a command, as `Engine.execute`."""
        if actor.is_trusted:
            return await self._give_as_server(command, key)
        return await (await self._link(actor)).execute(command, idempotency_key=key)

    async def follow(self, channel: str, actor: Actor, recover: Recover | None) -> Subscription:
        """Follow a channel, as `Engine.subscribe`."""
        return await (await self._link(actor)).subscribe(channel, recover=recover)

    def unfollow(self, subscription: Subscription) -> None:
        for link in self._links.values():
            link.unsubscribe(subscription)

    async def aclose(self) -> None:
        for link in self._links.values():
            await link.aclose()
        if self._http is not None:
            await self._http.aclose()
        await self._app.aclose()
        await self._transport.aclose()

    async def _link(self, actor: Actor) -> RemoteLink:
        link = self._links.get(actor)
        if link is None:
            project = self._project
            link = RemoteLink(
                project.app_id,
                project.key,
                base_url=BASE_URL,
                transport=self._transport,
                retry=RetryPolicy(spread=0.0),
                clock=self._clock,
            )
            try:
                await link.authenticate(actor.identity, name=actor.name, device_id=actor.device)
            except BaseException:
                await link.aclose()
                raise
            self._links[actor] = link
        return link

    async def _give_as_server(self, command: Command, key: str | None) -> Any:
        if self._http is None:
            self._http = await self._transport.open({BASE_URL})
        request = request_of(command)
        headers = {"x-app-id": self._project.app_id, "x-app-secret": SECRET, "content-type": "application/json"}
        if key is not None:
            headers["idempotency-key"] = key
        response = await self._http.request(
            request.method, BASE_URL + request.target, content=request.body or b"", headers=headers
        )
        if not response.is_success:
            refusal = refusal_of(BASE_URL, response)
            raise refusal.error if isinstance(refusal, Again) else refusal
        result = command.spec.result
        return None if result is None else result_of(adapter(result), response.content, command.spec.name)
