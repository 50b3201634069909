"""An engine on the mock backend in virtual time, and short words for what the tests do with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from utd_core.broker.base import Subscription
from utd_core.engine import Engine, EngineSettings
from utd_core.errors import UTDStreamException
from utd_core.media.backend import JoinTicket, MediaConnection
from utd_core.media.events import ConnectionState
from utd_core.media.faults import Fault
from utd_core.model.command import THE_SERVER, Actor, Command
from utd_core.model.commands import AcceptCall, GetRoom, JoinRoom, LeaveRoom, StartCall
from utd_core.model.event import Event
from utd_core.model.permission import Grant, TrackSource
from utd_core.model.results import UTDCall, UTDTokenResponse
from utd_core.model.room import Room
from utd_core.model.stream_type import UTDStreamType
from utd_core.store import open_store
from utd_core.store.base import Answer, Commit, Envelope, Head, Remains, Store, StoredState
from utd_core.store.leases import Fence
from utd_core.store.outbox import Outbox
from utd_core.testing import VirtualClock
from utd_mock import MockBackend, MockServer

T = TypeVar("T")

ROOM = "room"
MICROPHONE = TrackSource.MICROPHONE


class World:
    """One media server, which outlives the engines on it, and the people who are connected to it.

    `store` is what the engines are on, or makes a store for each of them, as several nodes have it.
    """

    def __init__(self, store: Store | Path | Callable[[], Store] | None = None, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.server = MockServer(self.clock)
        self.media = MockBackend({"server": self.server}, self.clock)
        self.store = store
        self.settings = EngineSettings(**settings)
        self._stores: list[Store] = []
        self.engine = self.make_engine()

    def make_engine(self) -> Engine:
        """One more engine on the same store and media server."""
        store = self.store
        if callable(store):
            store = store()
            self._stores.append(store)
        return Engine(
            media="mock",
            store=store,
            clock=self.clock,
            media_settings={"server": self.server},
            settings=self.settings,
        )

    async def __aenter__(self) -> Self:
        await self.engine.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.aclose()
        for store in self._stores:
            await store.aclose()
        await self.media.aclose()
        await self.server.aclose()

    async def stop(self) -> None:
        """End the engine; the media server and everybody's connections stay."""
        await self.engine.aclose()

    async def start(self) -> None:
        """A new engine on what the last one left behind."""
        self.engine = self.make_engine()
        await self.engine.__aenter__()

    async def restart(self) -> None:
        await self.stop()
        await self.start()
        await self.settle()

    async def settle(self) -> None:
        """Everything that follows from what was done has happened; no time has passed."""
        await self.clock.settle()

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await self.clock.settle()

    async def server_does(self, command: Command, key: str | None = None) -> Any:
        return await self.engine.execute(command, actor=THE_SERVER, idempotency_key=key)

    def person(self, identity: str, device: str = "default") -> Person:
        return Person(self, identity, device)

    async def room(self, host: str = "host", room: str = ROOM, connect: bool = True, **options: Any) -> Person:
        """A new audio room, and its host in it."""
        person = self.person(host)
        await person.join(room, as_host=True, connect=connect, **options)
        return person

    async def guest(self, identity: str, room: str = ROOM, device: str = "default", connect: bool = True) -> Person:
        """Somebody who joins a room."""
        person = self.person(identity, device)
        await person.join(room, connect=connect)
        return person

    async def state(self, room: str = ROOM) -> Room:
        snapshot = await self.server_does(GetRoom(room=room))
        assert isinstance(snapshot.room, Room)
        return snapshot.room

    async def count(self, room: str = ROOM) -> int:
        """How many are in a room, as the engine has it."""
        count: int = (await self.server_does(GetRoom(room=room))).participants
        return count

    def connected(self, room: str = ROOM) -> set[str]:
        """Who is connected to a media room, as the media server has it."""
        snapshot = self.server.rooms.get(room)
        return set() if snapshot is None else set(snapshot.participants)

    def grant(self, identity: str, room: str = ROOM) -> Grant:
        """What the media server allows somebody."""
        return self.server.rooms[room].participants[identity].grant

    def may_speak(self, identity: str, room: str = ROOM) -> bool:
        return MICROPHONE in self.grant(identity, room).publish

    async def fault(self, fault: Fault, identity: str | None = None, room: str = ROOM, **parameters: Any) -> None:
        await self.media.inject(fault, room, identity, **parameters)

    def calls(self, method: str, identity: str | None = None) -> int:
        """How often the engine called the media server's `method`."""
        return sum(call.method == method and identity in (None, call.identity) for call in self.server.trace)


class Person:
    """An identity on a device, with at most one media connection."""

    def __init__(self, world: World, identity: str, device: str = "default") -> None:
        self.world = world
        self.identity = identity
        self.actor = Actor(identity, device, identity.title())
        self.connection: MediaConnection | None = None
        self.ticket: UTDTokenResponse | None = None

    async def do(self, command: Command, key: str | None = None) -> Any:
        return await self.world.engine.execute(command, actor=self.actor, idempotency_key=key)

    async def join(
        self,
        room: str = ROOM,
        *,
        type: UTDStreamType = UTDStreamType.AUDIO_ROOM,
        connect: bool = True,
        **options: Any,
    ) -> UTDTokenResponse:
        self.ticket = await self.do(JoinRoom(room=room, type=type, **options))
        if connect:
            await self.connect()
        return self.ticket

    async def connect(self, ticket: UTDTokenResponse | None = None) -> MediaConnection:
        """Connect to the media server with a ticket, by default the last one."""
        used = ticket or self.ticket
        assert used is not None
        self.connection = await self.world.media.connect(JoinTicket(used.url, used.token, used.expires_at))
        await self.world.settle()
        return self.connection

    async def disconnect(self) -> None:
        """Close the media connection, without a word to the engine."""
        assert self.connection is not None
        await self.connection.aclose()
        await self.world.settle()

    async def leave(self, room: str = ROOM) -> None:
        await self.do(LeaveRoom(room=room))

    async def call(self, callee: str, **options: Any) -> UTDCall:
        call = await self.do(StartCall(type=UTDStreamType.AUDIO_CALL, callee=callee, **options))
        assert isinstance(call, UTDCall)
        self.ticket = call.ticket
        return call

    async def accept(self, call_id: str) -> UTDCall:
        call = await self.do(AcceptCall(id=call_id))
        assert isinstance(call, UTDCall)
        self.ticket = call.ticket
        return call

    async def follow(self, channel: str) -> Subscription:
        return await self.world.engine.subscribe(channel, actor=self.actor)

    def is_connected(self) -> bool:
        return self.connection is not None and self.connection.state is not ConnectionState.DISCONNECTED

    def may_speak(self) -> bool:
        assert self.connection is not None
        return MICROPHONE in self.connection.grant.publish


class GatedStore:
    """A store whose commits can be held back, counted, or made to fail."""

    def __init__(self, inner: Store | None = None) -> None:
        self.inner = open_store(None) if inner is None else inner
        self.commits: list[Commit] = []
        self.failures: list[UTDStreamException] = []
        self.before_commit: Callable[[Commit], Awaitable[None]] | None = None
        self.before_discard: Callable[[Sequence[Remains]], Awaitable[None]] | None = None
        self._open_gate = asyncio.Event()
        self._open_gate.set()
        self.held = 0

    def hold(self) -> None:
        """Let no commit through until `release`."""
        self._open_gate.clear()

    def release(self) -> None:
        self._open_gate.set()

    async def commit(self, commit: Commit) -> None:
        self.held += 1
        try:
            await self._open_gate.wait()
        finally:
            self.held -= 1
        if self.before_commit is not None:
            await self.before_commit(commit)
        if self.failures:
            raise self.failures.pop(0)
        await self.inner.commit(commit)
        self.commits.append(commit)

    @property
    def outbox(self) -> Outbox:
        return self.inner.outbox

    @property
    def fence(self) -> Fence | None:
        return self.inner.fence

    async def open(self) -> None:
        await self.inner.open()

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def load(self, kind: str, key: str) -> StoredState | None:
        return await self.inner.load(kind, key)

    async def due(self, now: float, limit: int = 100) -> list[tuple[str, str, int]]:
        return await self.inner.due(now, limit)

    async def next_deadline(self) -> float | None:
        return await self.inner.next_deadline()

    async def states(
        self, kind: str, *, after: str = "", limit: int = 100, ended: bool | None = False
    ) -> list[StoredState]:
        return await self.inner.states(kind, after=after, limit=limit, ended=ended)

    async def head(self, channel: str) -> Head:
        return await self.inner.head(channel)

    async def history(self, channel: str, epoch: str, after: int, limit: int) -> Any:
        return await self.inner.history(channel, epoch, after, limit)

    async def prune(self, before: float, keep: int, *, answers_before: float | None = None) -> int:
        return await self.inner.prune(before, keep, answers_before=answers_before)

    async def ended(self, before: float, limit: int = 100) -> list[tuple[str, str, int]]:
        return await self.inner.ended(before, limit)

    async def discard(self, remains: Sequence[Remains]) -> list[bool]:
        if self.before_discard is not None:
            await self.before_discard(remains)
        return await self.inner.discard(remains)

    async def answer(self, actor: str, key: str) -> Answer | None:
        return await self.inner.answer(actor, key)


def waiting(subscription: Subscription) -> list[Envelope]:
    """What a subscription holds now."""
    found = []
    while (envelope := subscription.events.get_nowait()) is not None:
        found.append(envelope)
    return found


def events(subscription: Subscription, *kinds: type[Event]) -> list[Event]:
    """The events that a subscription holds now, of these kinds or all."""
    found = [envelope.event for envelope in waiting(subscription)]
    return [event for event in found if not kinds or isinstance(event, kinds)]


async def outcome(operation: Awaitable[T]) -> T | UTDStreamException:
    """The result, or the error as a value."""
    try:
        return await operation
    except UTDStreamException as error:
        return error


async def outcomes(*operations: Awaitable[Any]) -> list[Any]:
    """The results or errors of operations that run at once."""
    return list(await asyncio.gather(*map(outcome, operations)))


def codes(results: list[Any]) -> list[str]:
    """Error codes, and "ok" for what went well."""
    return [result.code if isinstance(result, UTDStreamException) else "ok" for result in results]
