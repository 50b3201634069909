"""Several nodes in this process, in virtual time: one database, one media server, and a bus that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Self, TypeVar

import httpx

from tests.server.pusher.asgi_client import AsgiClient
from utd_core.bus import BusStatistics, Listener, LocalMessages, MessageBus
from utd_core.bus.audience import Hear, Interrupted
from utd_core.engine import Engine, EngineSettings
from utd_core.errors import StoreFailed, Unavailable
from utd_core.media.backend import JoinTicket
from utd_core.model.command import Actor
from utd_core.model.commands import CreateSession, JoinRoom, LeaveSeat, TakeSeat
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.app import App
from utd_core.server.cluster import ClusterSettings, Relay
from utd_core.server.hosting.directory import OneProject
from utd_core.server.hosting.host import Hosting
from utd_core.server.http.rates import Rates
from utd_core.server.projects import Project, ProjectFlags, ProjectLimits
from utd_core.server.pusher import PusherMount, PusherSettings
from utd_core.store import open_store
from utd_core.store.leases import Lease
from utd_core.store.sql_store import SqlStore
from utd_core.testing import VirtualClock
from utd_core.testing.wait import eventually
from utd_mock import MockBackend, MockServer

T = TypeVar("T")

ROOM = "lounge"
CHANNEL = f"private-room.{ROOM}"
PROJECT = Project("shop", "key", ("the secret",), flags=ProjectFlags(allow_app_key_identity_mint=True))
HOST = Actor("host")
SECRET = {"X-App-Id": "shop", "X-App-Secret": "the secret"}
TAKEOVER = 8.0
"""Seconds in which the death of a holder is over."""


class Cable(MessageBus):
    """One node's end of a bus that all share. `cut` takes it out, `drop` loses single messages to it."""

    def __init__(self, bus: MessageBus, clock: VirtualClock) -> None:
        self._bus = bus
        self._clock = clock
        self._since = clock.monotonic()
        self._ears: list[tuple[Listener, Interrupted | None]] = []
        self.is_cut = False
        self.drop: Callable[[str, bytes], bool] = lambda topic, message: False

    async def open(self) -> None:
        """The bus is opened by who made it."""

    async def aclose(self) -> None:
        """And closed."""

    async def publish(self, topic: str, message: bytes) -> int:
        if self.is_cut:
            raise Unavailable("the cable is cut")
        return await self._bus.publish(topic, message)

    async def subscribe(self, topic: str, hear: Hear, *, interrupted: Interrupted | None = None) -> Listener:
        if self.is_cut:
            raise Unavailable("the cable is cut")

        async def hear_through(message: bytes) -> None:
            if not self.is_cut and not self.drop(topic, message):
                await hear(message)

        listener = await self._bus.subscribe(topic, hear_through, interrupted=interrupted)
        self._ears.append((listener, interrupted))
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        self._ears = [ear for ear in self._ears if ear[0] is not listener]
        self._bus.unsubscribe(listener)

    def statistics(self) -> BusStatistics:
        lasting = self._clock.monotonic() - self._since
        return replace(self._bus.statistics(), connected=not self.is_cut, lasting=lasting)

    def lose_one(self, part: bytes, *, topic: str = "") -> list[bytes]:
        """Lose the next message to here that holds `part`, of a topic that begins so; it is in the list then."""
        lost: list[bytes] = []

        def drop(about: str, message: bytes) -> bool:
            if lost or part not in message or not about.startswith(topic):
                return False
            lost.append(message)
            return True

        self.drop = drop
        return lost

    def cut(self) -> None:
        self.is_cut, self._since = True, self._clock.monotonic()

    async def mend(self) -> None:
        self.is_cut, self._since = False, self._clock.monotonic()
        for _, interrupted in list(self._ears):
            if interrupted is not None:
                await interrupted()


class Unreachable:
    """Leases of a database that does not answer."""

    async def claim(self, project: str, holder: str, ttl: float) -> Lease:
        raise StoreFailed("no way to the database")

    async def claim_last(self, project: str, holder: str, ttl: float, *, courtesy: float) -> Lease | None:
        raise StoreFailed("no way to the database")

    async def renew(self, holder: str, ttl: float) -> Sequence[Lease]:
        raise StoreFailed("no way to the database")

    async def release(self, leases: Sequence[Lease]) -> None:
        raise StoreFailed("no way to the database")

    async def holder_of(self, project: str) -> Lease | None:
        raise StoreFailed("no way to the database")

    async def want(self, lease: Lease, seconds: float) -> None:
        raise StoreFailed("no way to the database")

    async def wanted_of(self, holder: str) -> Sequence[Lease]:
        raise StoreFailed("no way to the database")

    async def others_hold(self, holder: str) -> bool:
        raise StoreFailed("no way to the database")

    async def held_by(self, holder: str) -> Sequence[Lease]:
        raise StoreFailed("no way to the database")


class Node:
    """One node: its projects, its sockets, and an HTTP client that shows the project's secret."""

    def __init__(self, world: World) -> None:
        self.cable = Cable(world.bus, world.clock)
        self.clock = world.clock
        rates = Rates(1_000)
        self.host = Hosting(
            OneProject(replace(PROJECT, limits=world.limits)),
            world.store,
            world.media_name,
            media_settings=world.media_settings,
            settings=EngineSettings(ticket_ttl=1e6),
            clock=world.clock,
            bus=self.cable,
            cluster=ClusterSettings(),
            rates=rates,
        )
        self.mount = PusherMount(self.host, settings=PusherSettings(), bus=self.cable)
        self.app = App(self.host, mounts=[self.mount], rates=rates)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://utd", headers=SECRET)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.host)
        await self._stack.enter_async_context(self.app)
        await self._stack.enter_async_context(self.http)
        return self

    async def aclose(self) -> None:
        """End it as SIGTERM would. Idempotent."""
        await self._stack.aclose()

    @property
    def holds(self) -> bool:
        return bool(self.host.running)

    @property
    def engine(self) -> Engine:
        """The project's engine, which is at work here."""
        return self.host.running[PROJECT.app_id].engine

    async def relay(self) -> Relay:
        hosted = await self.host.find(PROJECT.app_id)
        assert hosted is not None
        assert isinstance(hosted.engine, Relay)
        return hosted.engine

    async def sit(self, index: int) -> None:
        """Have the host take a seat, by this node."""
        await (await self.relay()).execute(TakeSeat(room=ROOM, index=index), actor=HOST)

    async def stand(self) -> None:
        """Have the host leave the seat, by this node."""
        await (await self.relay()).execute(LeaveSeat(room=ROOM), actor=HOST)

    def oversleep(self) -> None:
        """Be told that the lease is over, as after a pause that was too long."""
        fence = self.host._tenure.fence_of(PROJECT.app_id)
        assert fence is not None
        fence.shut("it was asleep")

    def isolate(self) -> None:
        """Reach neither the other nodes nor the database's leases from now on."""
        self.cable.cut()
        self.host._tenure._leases = Unreachable()

    async def connect(self, identity: str) -> AsgiClient:
        """A client that is signed in; it hangs up when the node ends."""
        client = await self._stack.enter_async_context(AsgiClient(self.app))
        session = await (await self.relay()).execute(CreateSession(identity=identity))
        client.say("pusher:signin", {"token": session.user_token})
        await client.hear("pusher:signin_success")
        return client

    async def follow(self, identity: str, channel: str = CHANNEL, **fields: Any) -> AsgiClient:
        """A client that follows a channel of the engine."""
        client = await self.connect(identity)
        client.subscribe(channel, **fields)
        await client.hear("pusher_internal:subscription_succeeded")
        return client

    async def come_back(self, identity: str, place: Mapping[str, Any], *, further: int = 0) -> AsgiClient:
        """A client that asks for what it missed since an event it heard, or since one that many later; what it hears
        of that is not taken yet."""
        client = await self.connect(identity)
        client.subscribe(CHANNEL, recover={"epoch": place["epoch"], "offset": place["offset"] + further})
        return client


class World:
    """`async with` opens database and bus; `start` a node. `media_name`, `media_settings`: of another backend than the
    mock's, with a control half on each node. `limits`: of the project."""

    def __init__(
        self,
        store: SqlStore | None = None,
        *,
        media_name: str = "mock",
        media_settings: Mapping[str, Any] | None = None,
        limits: ProjectLimits | None = None,
    ) -> None:
        self.limits = limits or ProjectLimits(identity_commands_per_second=None)
        self.clock = VirtualClock()
        self.store = store or open_store(None)
        self.media = MockServer(self.clock)
        self.media_name = media_name
        self.media_settings = {"server": self.media} if media_settings is None else media_settings
        self.backend = MockBackend({"server": self.media}, self.clock)
        self.bus = LocalMessages()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.store)
        await self._stack.enter_async_context(self.bus)
        self._stack.push_async_callback(self.media.aclose)
        self._stack.push_async_callback(self.backend.aclose)
        return self

    async def __aexit__(self, *exit: object) -> None:
        await self._stack.aclose()

    async def start(self) -> Node:
        """A node, which ends with the world."""
        node = Node(self)
        await node.__aenter__()
        self._stack.push_async_callback(node.aclose)
        return node

    async def start_three(self) -> tuple[Node, Node, Node]:
        """The first of them holds the project, with a room that its host is in."""
        first, second, third = [await self.start() for _ in range(3)]
        await self.join(first, "host")
        assert first.holds
        return first, second, third

    async def join(self, node: Node, identity: str, room: str = ROOM) -> None:
        """Have somebody in a room, with a media connection that outlives every node."""
        join = JoinRoom(room=room, type=UTDStreamType.AUDIO_ROOM, as_host=identity == "host")
        ticket = await (await node.relay()).execute(join, actor=Actor(identity))
        await self.backend.connect(JoinTicket(ticket.url, ticket.token, ticket.expires_at))
        await self.clock.settle()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What some work answers, while time goes on."""
        task = asyncio.ensure_future(work)
        await self.eventually(task.done, "its end")
        return await task

    async def eventually(self, condition: Callable[[], Any], what: str, timeout: float = 30.0) -> None:
        await eventually(condition, timeout, clock=self.clock, what=what)
