"""What the suite drives a backend with: rooms, participants, time and patience.

A test never waits for a time; it waits for something to happen, within the harness' `patience`. On a backend
that declares `virtual_time` the harness owns a `VirtualClock` and moves it, so patience costs nothing; on any
other backend it is real time, scaled by `--utd-time-scale`.

A plugin whose backend needs more than `BackendSpec.create` (a server started first) answers the hook
`utd_contract_harness`. The context manager that its answer makes may have methods and attributes of `Bench` too.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast, overload

from ...concurrency import Clock, SystemClock, TaskScope
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
from ...media.frames import AudioFrame, Frame
from ...model.permission import Grant, TrackSource
from ..clock import VirtualClock
from ..leaks import Snapshot
from ..wait import eventually, within
from .peer import Listener, Peer

T = TypeVar("T")

VIRTUAL_WATCHDOG = 30.0
"""Real seconds after which a test in virtual time is given up."""

EVERYTHING = Grant(publish=frozenset(TrackSource))
LISTENER = Grant()
SPEAKER = Grant(publish=frozenset({TrackSource.MICROPHONE}))


class Bench(Protocol):
    """What the context manager of a plugin's `utd_contract_harness` may offer beyond opening a backend.

    All of it is optional, and only a backend that differs from others needs it.
    """

    short_ttl: float
    """Time to live, seconds, of tickets that a test lets run out; the default is 1."""

    async def make_room(self, room: str, max_participants: int | None) -> None:
        """Make a room where there is no control half to do it."""

    async def ticket(self, room: str, identity: str, grant: Grant, name: str, ttl: float) -> JoinTicket:
        """Issue a ticket where there is no control half to do it."""
        ...

    async def expired_ticket(self, room: str, identity: str) -> JoinTicket:
        """A ticket that has run out, where the server is lenient about the time."""
        ...


class Harness:
    """One backend under test. A fresh one for every test; `async with` opens and closes it.

    `open_backend`: what `PluginManager.contract_harness` returns. `scale`: how many times longer than usual
    everything may take, on a backend without virtual time.
    """

    patience = 10.0
    """Seconds (of `clock`) within which an expected thing must have happened."""
    quiet = 0.5
    """Seconds (of `clock`) to wait before saying that something did not happen."""
    prompt = 2.0
    """Seconds (of `clock`) that "at once" may take: less than any retry or time-out of a backend."""
    watchdog = 120.0
    """Real seconds after which a test is given up."""

    def __init__(self, spec: BackendSpec, open_backend: OpenBackend, *, scale: float = 1.0) -> None:
        self.spec = spec
        self.capabilities = spec.capabilities
        self.clock: Clock = VirtualClock() if spec.capabilities.virtual_time else SystemClock()
        self._open_backend = open_backend
        self._run = uuid.uuid4().hex[:8]
        self._rooms: list[str] = []
        self._peers: list[Peer] = []
        self._bench: AbstractAsyncContextManager[MediaBackend] | None = None
        self._backend: MediaBackend | None = None
        self._scope = TaskScope("contract")
        if spec.capabilities.virtual_time:
            self.watchdog = VIRTUAL_WATCHDOG
        else:
            self.patience, self.quiet = self.patience * scale, self.quiet * scale
            self.prompt, self.watchdog = self.prompt * scale, self.watchdog * scale

    async def __aenter__(self) -> Self:
        await self._scope.open()
        try:
            await self._open()
        except BaseException:
            await self._scope.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

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
        self._scope.start(peer.read_events, name=connection.identity)
        return peer

    def listen(self, reader: FrameReader) -> Listener:
        """Collect the frames of a reader in the background."""
        listener = Listener(self, reader)
        self._scope.start(listener.collect, name="listener")
        return listener

    def background(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """Run something beside the test; it ends with the test."""
        self._scope.start(function, *arguments)

    async def pass_time(self, seconds: float) -> None:
        """Let `seconds` of the backend's time go by."""
        if isinstance(self.clock, VirtualClock):
            await self.clock.advance(seconds)
            await self.clock.settle()
        else:
            await self.clock.sleep(seconds)

    async def settle(self) -> None:
        """Wait as long as it takes to say that nothing more is going to happen."""
        await self.pass_time(self.quiet)

    async def left_nothing(self, before: Snapshot, what: str = "") -> None:
        """Wait until no task, thread or descriptor is there that was not there before."""
        try:
            await self.eventually(lambda: not Snapshot.take().leaked_since(before))
        except AssertionError:
            leaked = "\n  ".join(Snapshot.take().leaked_since(before))
            raise AssertionError(f"{what or 'this'} left behind:\n  {leaked}") from None

    @overload
    async def eventually(
        self, condition: Callable[[], Awaitable[T]], timeout: float | None = ..., *, what: str = ...
    ) -> T: ...

    @overload
    async def eventually(self, condition: Callable[[], T], timeout: float | None = ..., *, what: str = ...) -> T: ...

    async def eventually(
        self, condition: Callable[[], T | Awaitable[T]], timeout: float | None = None, *, what: str = ""
    ) -> T:
        """The first truthy value of `condition()`, within patience."""
        patient: Callable[[], Any] = condition
        return cast(
            "T", await eventually(patient, self.patience if timeout is None else timeout, clock=self.clock, what=what)
        )

    async def within(self, operation: Awaitable[T], timeout: float | None = None, *, what: str = "") -> T:
        """The result of `operation`, within patience."""
        return await within(operation, self.patience if timeout is None else timeout, clock=self.clock, what=what)

    async def play(self, track: LocalTrack, frames: Iterable[Frame], *, rate: float = 30.0, start_us: int = 0) -> int:
        """Write frames at the pace of real time, their timestamps one after the other from `start_us` on.

        `rate`: pictures per second. Returns where the next frame would begin (us).
        """
        begin = self.clock.monotonic()
        position = start_us
        for frame in frames:
            await self.within(track.write(_stamped(frame, position)))
            position += _duration_us(frame, rate)
            await self.pass_time(max(0.0, begin + (position - start_us) / 1_000_000 - self.clock.monotonic()))
        return position

    @asynccontextmanager
    async def playing(
        self, track: LocalTrack, frames: Iterable[Frame], *, rate: float = 30.0, start_us: int = 0
    ) -> AsyncIterator[Player]:
        """Write frames over and over beside the test, until the block ends or the track is closed."""
        player = Player(self.clock, track, tuple(frames), rate, start_us)
        scope = TaskScope("player")
        await scope.open()
        scope.start(player.play_on)
        try:
            yield player
        finally:
            await scope.aclose()


class Player:
    """Writes frames over and over. `position_us`: where its next frame begins."""

    def __init__(self, clock: Clock, track: LocalTrack, frames: tuple[Frame, ...], rate: float, start_us: int) -> None:
        self.position_us = start_us
        self._clock = clock
        self._track = track
        self._frames = frames
        self._rate = rate

    async def play_on(self) -> None:
        """Play until cancelled, or until the track takes no more."""
        begin = self._clock.monotonic() - self.position_us / 1_000_000
        while True:
            for frame in self._frames:
                try:
                    await self._track.write(_stamped(frame, self.position_us))
                except UTDStreamException:
                    return
                self.position_us += _duration_us(frame, self._rate)
                await self._clock.sleep(begin + self.position_us / 1_000_000 - self._clock.monotonic())


def _stamped(frame: Frame, timestamp_us: int) -> Frame:
    return frame if frame.timestamp_us == timestamp_us else replace(frame, timestamp_us=timestamp_us)


def _duration_us(frame: Frame, rate: float) -> int:
    return frame.duration_us if isinstance(frame, AudioFrame) else round(1_000_000 / rate)
