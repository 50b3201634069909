"""An engine with webhooks in virtual time, and the application that is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Self

import httpx

from utd_core.engine import Engine
from utd_core.model.commands import CreateRoom, EndRoom, UpdateMetadata
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.webhooks import SIGNATURE, Delivery, WebhookEndpoint, Webhooks, WebhookSettings, verify
from utd_core.store import open_store
from utd_core.store.base import Store
from utd_core.store.sql_store import SqlStore
from utd_core.testing import VirtualClock
from utd_core.testing.wait import eventually, within

SECRET = "a-secret-of-the-endpoint"
URL = "https://shop.example.com/hook"


class Application(httpx.AsyncBaseTransport):
    """Takes what it is told, in the place of the network.

    `answer` says how, for each delivery: a status, 0 for no connection, or how many seconds it takes. `told` are all
    tries, `taken` those that were answered 200, in the order of the answers. It knows one `secret`.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.secret = SECRET
        self.urls: set[str] = set()
        self.told: list[Delivery] = []
        self.taken: list[Delivery] = []
        self.answer: Callable[[Delivery], int | float] = lambda _: 200
        self.under_way = Counter[str]()
        self.most_at_once = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        delivery = verify(body, request.headers[SIGNATURE], self.secret, now=self.clock.now())
        self.urls.add(str(request.url))
        self.told.append(delivery)
        room = str(delivery.room)
        self.under_way[room] += 1
        self.most_at_once = max(self.most_at_once, self.under_way[room])
        try:
            status = self.answer(delivery)
            if isinstance(status, float):
                # So long it takes.
                await self.clock.sleep(status)
                status = 200
            await asyncio.sleep(0)
        finally:
            self.under_way[room] -= 1
        if status == 0:
            raise httpx.ConnectError("refused")
        if status == 200:
            self.taken.append(delivery)
        return httpx.Response(status, headers={"location": "https://elsewhere.example.com"}, content=b"x" * 100)

    def sequences(self, room: str) -> list[int]:
        return [delivery.sequence for delivery in self.taken if delivery.room == room]


class World:
    """`store`: one that outlives the engine, or None."""

    def __init__(
        self,
        clock: VirtualClock,
        *,
        store: Store | None = None,
        endpoints: tuple[WebhookEndpoint, ...] | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock
        self.application = Application(clock)
        self.store = store
        self.webhooks = Webhooks(
            (an_endpoint(),) if endpoints is None else endpoints,
            WebhookSettings(**settings),
            clock=clock,
            transport=self.application,
        )
        self.engine = Engine("mock", clock=clock, store=store, app_id="shop", outlets=self.webhooks)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self.engine)
        await self._open.enter_async_context(self.webhooks)
        return self

    async def __aexit__(self, *error: object) -> None:
        # Leaving delivers what is due, which takes time.
        await within(self._open.aclose(), 60, clock=self.clock)

    async def create(self, *rooms: str) -> None:
        for room in rooms:
            await self.engine.execute(CreateRoom(room=room, type=UTDStreamType.AUDIO_ROOM, owner="ann"))

    async def change(self, room: str, times: int = 1) -> None:
        for n in range(times):
            await self.engine.execute(UpdateMetadata(room=room, metadata={"n": n}))

    async def end(self, room: str) -> None:
        await self.engine.execute(EndRoom(room=room))

    async def until(self, condition: Callable[[], Any], seconds: float = 10.0) -> None:
        await eventually(condition, seconds, clock=self.clock)


def an_endpoint(name: str = "hook", **fields: Any) -> WebhookEndpoint:
    return WebhookEndpoint(**{"name": name, "url": URL, "secrets": (SECRET,), **fields})


def a_store() -> SqlStore:
    """One in memory that an engine and the next one may share."""
    return open_store()
