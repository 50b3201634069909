"""What the suite drives a backend with: rooms and participants.

A plugin whose backend needs more than `BackendSpec.create` (a server started first) answers the hook
`utd_contract_harness`. The context manager that its answer makes may have methods and attributes of `Bench` too.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol, Self, cast

from ...concurrency import Closeable
from ...errors import UTDStreamException
from ...hooks import Harness as OpenBackend
from ...media.backend import (
    BackendSpec,
    ConnectOptions,
    FrameReader,
    JoinTicket,
    LocalTrack,
    MediaBackend,
    MediaConnection,
    MediaControl,
)
from ...media.frames import Frame
from ...model.permission import Grant, TrackSource
from .patience import Patience
from .peer import Listener, Peer
from .player import Player, playing

EVERYTHING = Grant(publish=frozenset(TrackSource))
LISTENER = Grant()
SPEAKER = Grant(publish=frozenset({TrackSource.MICROPHONE}))


class Bench(Protocol):
    """What the context manager of a plugin's `utd_contract_harness` may offer beyond opening a backend.

    All of it is optional, and only a backend that differs from others needs it.
    """

    spec: BackendSpec
    """What is declared, where that is less than usual because of how it is opened; an attribute of the class."""

    short_ttl: float
    """Time to live, seconds, of tickets that a test lets run out; the default is 1."""

    news_delay: float
    """Seconds for which the backend may collect the news of who comes and goes before it tells; the default is 0."""

    async def make_room(self, room: str, max_participants: int | None) -> None:
        """Make a room where there is no control half to do it."""

    async def ticket(self, room: str, identity: str, grant: Grant, name: str, ttl: float) -> JoinTicket:
        """Issue a ticket where there is no control half to do it."""
        ...

    async def expired_ticket(self, room: str, identity: str) -> JoinTicket:
        """A ticket that has run out, where the server is lenient about the time."""
        ...


class Harness(Patience, Closeable):
    """One backend under test. A fresh one for every test; `async with` opens and closes it.

    `open_backend`: what `PluginManager.contract_harness` returns. `scale`: how many times longer than usual
    everything may take, on a backend without virtual time.
    """

    def __init__(self, spec: BackendSpec, open_backend: OpenBackend, *, scale: float = 1.0) -> None:
        super().__init__(virtual_time=spec.capabilities.virtual_time, scale=scale)
        self.spec = spec
        self.capabilities = spec.capabilities
        self._open_backend = open_backend
        self._run = uuid.uuid4().hex[:8]
        self._rooms: list[str] = []
        self._peers: list[Peer] = []
        self._bench: AbstractAsyncContextManager[MediaBackend] | None = None
        self._backend: MediaBackend | None = None

    async def __aenter__(self) -> Self:
        await self._scope.open()
        try:
            await self._open()
        except BaseException:
            await self._scope.aclose()
            raise
        return self

    async def aclose(self) -> None:
        """Close every participant, room and the backend. Idempotent."""
        if self._bench is None:
            return
        async with AsyncExitStack() as last:
            last.push_async_callback(self._scope.aclose)
            last.push_async_callback(self._close)
            for peer in self._peers:
                await self.within(peer.connection.aclose())
            if self.capabilities.control:
                await self._forget_rooms()

    async def _open(self) -> None:
        self._bench = self._open_backend(self.clock)
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[MediaBackend] = loop.create_future()
        self._stop, self._closed = asyncio.Event(), loop.create_future()
        self._scope.start(self._host, self._bench, opened, self._stop, self._closed)
        self._backend = await self.within(opened, what="an open backend")

    async def _close(self) -> None:
        if self._bench is not None:
            self._bench = None
            self._stop.set()
            await self.within(self._closed, what="the end of the backend")

    async def _host(
        self,
        bench: AbstractAsyncContextManager[MediaBackend],
        opened: asyncio.Future[MediaBackend],
        stop: asyncio.Event,
        closed: asyncio.Future[None],
    ) -> None:
        # Entered and left by one task, so that a plugin's context manager may hold a task group.
        try:
            async with bench as backend:
                opened.set_result(backend)
                await stop.wait()
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to whoever opens or closes
            (closed if opened.done() else opened).set_exception(error)
        else:
            closed.set_result(None)

    async def _forget_rooms(self) -> None:
        for room in self._rooms:
            try:
                await self.within(self.control.close_room(room))
            except UTDStreamException:
                # The test itself has closed the backend or broken its server side.
                return

    async def renew(self) -> None:
        """Close the backend and go on with a fresh one; rooms and participants are gone."""
        await self._close()
        self._rooms.clear()
        self._peers.clear()
        await self._open()

    async def close_backend(self) -> None:
        """Close the backend that is there now; what a test does to it from another task."""
        await self.backend.aclose()

    @property
    def backend(self) -> MediaBackend:
        assert self._backend is not None, "the harness is not open"
        return self._backend

    @property
    def control(self) -> MediaControl:
        return self.backend.control

    @property
    def name(self) -> str:
        return self.spec.name

    def room_name(self, label: str = "room") -> str:
        """A name that no other test and no other run uses."""
        return f"contract-{self._run}-{len(self._rooms)}-{label}"

    async def room(self, label: str = "room", *, max_participants: int | None = None) -> str:
        """A new, empty room, closed at the end of the test."""
        room = self.claim(self.room_name(label))
        await self.make_room(room, max_participants)
        return room

    def claim(self, room: str) -> str:
        """See to it that a room of this name is closed at the end of the test."""
        self._rooms.append(room)
        return room

    async def make_room(self, room: str, max_participants: int | None) -> None:
        """Make a room, through the control half or the bench."""
        make = self._own("make_room")
        if make is not None:
            await self.within(make(room, max_participants))
        elif self.capabilities.control:
            await self.within(self.control.create_room(room, max_participants=max_participants))

    async def ticket(
        self, room: str, identity: str, grant: Grant = EVERYTHING, *, name: str = "", ttl: float = 600.0
    ) -> JoinTicket:
        """A ticket, from the control half or the bench."""
        issue = self._own("ticket")
        if issue is not None:
            return cast("JoinTicket", await self.within(issue(room, identity, grant, name, ttl)))
        return await self.within(self.control.issue_join(room, identity, grant=grant, name=name, ttl=ttl))

    async def expired_ticket(self, room: str, identity: str) -> JoinTicket:
        """A ticket that has run out."""
        issue = self._own("expired_ticket")
        if issue is not None:
            return cast("JoinTicket", await self.within(issue(room, identity)))
        ticket = await self.ticket(room, identity, ttl=self.short_ttl)
        await self.pass_time(self.short_ttl * 1.5)
        return ticket

    @property
    def short_ttl(self) -> float:
        """Time to live, seconds, of tickets that a test lets run out."""
        return cast("float", getattr(self._bench, "short_ttl", 1.0))

    @property
    def news_delay(self) -> float:
        """Seconds by which the others may hear later of who comes and goes."""
        return cast("float", getattr(self._bench, "news_delay", 0.0))

    def _own(self, method: str) -> Any:
        """A method that the plugin's context manager has beyond opening the backend; None without."""
        return getattr(self._bench, method, None)

    async def join(
        self,
        room: str,
        identity: str,
        grant: Grant = EVERYTHING,
        *,
        name: str = "",
        options: ConnectOptions | None = None,
        observe: Callable[[MediaConnection, Any], None] | None = None,
    ) -> Peer:
        """Connect a participant; its events are read and written down from the start.

        `observe(connection, event)` is called for each event at the moment it is handed out.
        """
        connection = await self.connect(await self.ticket(room, identity, grant, name=name), options)
        return self.watch(connection, observe)

    async def connect(self, ticket: JoinTicket, options: ConnectOptions | None = None) -> MediaConnection:
        """Connect within patience; nobody reads the events yet."""
        return await self.within(self.backend.connect(ticket, options))

    def watch(self, connection: MediaConnection, observe: Callable[[MediaConnection, Any], None] | None = None) -> Peer:
        """Read a connection's events, and close it at the end of the test."""
        peer = Peer(self, connection, observe)
        self._peers.append(peer)
        self.background(peer.read_events, name=connection.identity)
        return peer

    def listen(self, reader: FrameReader[Frame]) -> Listener:
        """Collect the frames of a reader in the background."""
        return Listener.of(self, reader)

    async def play(self, track: LocalTrack, frames: Iterable[Frame], *, rate: float = 30.0, start_us: int = 0) -> int:
        """Write frames at the pace of real time, their timestamps one after the other from `start_us` on.

        `rate`: pictures per second. Returns where the next frame would begin (us).
        """
        return await Player(self, track, frames, rate=rate, start_us=start_us).play()

    @asynccontextmanager
    async def playing(
        self, track: LocalTrack, frames: Iterable[Frame], *, rate: float = 30.0, start_us: int = 0
    ) -> AsyncIterator[Player]:
        """Write frames over and over beside the test, until the block ends or the track is closed."""
        async with playing(Player(self, track, frames, rate=rate, start_us=start_us)) as player:
            yield player
