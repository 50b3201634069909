"""The sockets of one project on one node."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import anyio
from starlette.types import Send

from ...bus import Answering, Listener, MessageBus, Questions
from ...concurrency import TaskScope, within
from ...errors import Closed, DeadlineExceeded, Unavailable, UTDStreamException
from ..projects import Host, Hosted, Project
from .census import CENSUS, count_channels
from .channel import as_message, topic_of
from .codes import CloseCode
from .dialogue import Dialogue
from .frames import Frame
from .heartbeat import Heartbeat
from .outbox import Outbox
from .pace import Pace
from .peers import GREETING
from .protocol import Refusal
from .registry import Registry
from .settings import PusherSettings
from .socket import Socket, User, new_socket_id
from .stack import Wire
from .tally import Tally

log = logging.getLogger("utd_core.server")

PULSE = 1.0
"""Seconds between two looks at what is due."""
ORDERS = ""
"""No channel has this name: here the nodes tell each other what to do, and that they are there."""
_END, _ALIVE, _GONE, _HAS, _HOW_MANY = "end ", "alive ", "gone ", "has ", "how many"


@dataclass(frozen=True, slots=True)
class HubStatistics:
    """Gauges of this moment, and counters since the hub was opened.

    `users`: signed in. `channels`: with somebody in them; `subscriptions`: places in all of them. `queued`: bytes that
    wait for slow clients. `connected`: sockets that ever were. `delivered`: frames of channels that were handed to
    sockets. `client_events`: that were sent on. `closed`: connections that the server ended, by close code; 1006 are
    those that broke.
    """

    connections: int
    users: int
    channels: int
    subscriptions: int
    queued: int
    connected: int
    delivered: int
    client_events: int
    closed: Mapping[int, int]


class Hub:
    """Opened with the first connection of a project, and there until the server ends."""

    def __init__(self, host: Host, hosted: Hosted, questions: Questions, settings: PusherSettings) -> None:
        self.engine = hosted.engine
        self.clock = hosted.engine.clock
        self.project: Project = hosted.project
        self.settings = settings
        self.sockets: dict[str, Socket] = {}
        self.client_events = 0
        self._host = host
        self._bus = bus = questions.bus
        self._questions = questions
        self._scope = TaskScope(f"sockets of {hosted.project.app_id}")
        self.channels = Registry(hosted.project.app_id, hosted.engine, bus, self._scope, settings)
        self.heartbeat = Heartbeat(self.clock, settings)
        self.dialogue = Dialogue(self)
        self._users: dict[str, set[Socket]] = {}
        self._orders: Listener | None = None
        self._census: Answering | None = None
        self._greeted_at = self.clock.monotonic()
        self._tally = Tally()
        self._draining = False
        self._is_troubled = False
        self._connected = 0
        self._closed: Counter[int] = Counter()
        self._somebody = asyncio.Event()
        self._nobody = asyncio.Event()
        self._nobody.set()

    async def open(self) -> None:
        """Raises `Closed` or `Unavailable`."""
        around = self.channels.around
        self._orders = await self._bus.subscribe(around.topic(ORDERS), self._obey, interrupted=self._interrupted)
        try:
            self._census = await self._questions.answer(around.topic(CENSUS), self._count)
        except BaseException:
            self._bus.unsubscribe(self._orders)
            raise
        await self._scope.open()
        self._scope.start(self._live)

    async def aclose(self) -> None:
        """Send everybody away, and end. Idempotent."""
        await self.drain()
        await self._scope.aclose()
        if self._census is not None:
            self._census.stop()
        if self._orders is not None:
            with suppress(Closed, Unavailable):
                await self._order(_GONE + self.channels.around.node)
        self.channels.close()
        orders, self._orders = self._orders, None
        if orders is not None:
            self._bus.unsubscribe(orders)

    async def drain(self) -> None:
        """Take nobody in any more, and tell all to come back at once, to another node; whoever lingers is cut."""
        self._draining = True
        for socket in list(self.sockets.values()):
            socket.close(CloseCode.RECONNECT, "the server ends; come back")
        try:
            await within(self.clock, self.settings.close_timeout, self._nobody.wait(), "some did not close")
        except DeadlineExceeded:
            for socket in list(self.sockets.values()):
                socket.abort()

    def connect(self, send: Send, wire: Wire | None, life: anyio.CancelScope) -> Socket:
        """Take in a new socket. Raises `Refusal`."""
        if self._draining:
            raise Refusal(CloseCode.RECONNECT, "the server ends; come back")
        most = self.project.limits.max_connections
        if most is not None and len(self.sockets) + self._tally.elsewhere(self.clock.monotonic()) >= most:
            raise Refusal(CloseCode.OVER_QUOTA, f"this project has {most} connections, as many as it may")

        def closing(code: int) -> None:
            self._closed[code] += 1
            self.heartbeat.closing(socket)

        now, settings = self.clock.monotonic(), self.settings
        socket = Socket(
            id=new_socket_id(),
            outbox=Outbox(send, wire, self._scope, settings, closing),
            messages=Pace(settings.messages_per_second, settings.message_burst, now),
            client_events=Pace(settings.client_events_per_second, settings.client_event_burst, now),
            life=life,
        )
        self.sockets[socket.id] = socket
        self.heartbeat.heard(socket)
        self._connected += 1
        self._nobody.clear()
        self._somebody.set()
        return socket

    def leave(self, socket: Socket) -> None:
        """It is gone. Idempotent."""
        for place in list(socket.places.values()):
            place.channel.leave(place)
        self.sign_out(socket)
        self.heartbeat.gone(socket)
        self.sockets.pop(socket.id, None)
        socket.outbox.release()
        if not self.sockets:
            self._nobody.set()

    def sign_in(self, socket: Socket, user: User) -> None:
        """From now on the socket is the user's."""
        self.sign_out(socket)
        socket.user = user
        self._users.setdefault(user.id, set()).add(socket)

    def sign_out(self, socket: Socket) -> None:
        """It is nobody's. Idempotent."""
        user, socket.user = socket.user, None
        if user is not None and user.id in self._users:
            self._users[user.id].discard(socket)
            if not self._users[user.id]:
                del self._users[user.id]

    async def publish(self, channel: str, frame: Frame, skip: str = "") -> None:
        """Have a frame handed out on every node, but not to the socket `skip`. Raises `Closed`, `Unavailable`."""
        await self._bus.publish(self.channels.around.topic(channel), as_message(frame, skip))

    def statistics(self) -> HubStatistics:
        return HubStatistics(
            connections=len(self.sockets),
            users=len(self._users),
            channels=sum(1 for _ in self.channels),
            subscriptions=sum(len(socket.places) for socket in self.sockets.values()),
            queued=sum(socket.outbox.waiting for socket in self.sockets.values()),
            connected=self._connected,
            delivered=self.channels.around.delivered,
            client_events=self.client_events,
            closed=dict(self._closed),
        )

    async def _order(self, text: str) -> None:
        await self._bus.publish(self.channels.around.topic(ORDERS), text.encode())

    async def _obey(self, message: bytes) -> None:
        text, around = message.decode(), self.channels.around
        if text.startswith(_END):
            for socket in list(self._users.get(text.removeprefix(_END), ())):
                socket.close(CloseCode.UNAUTHORIZED, "the server ended the connections of this user")
        elif text.startswith(_ALIVE):
            around.heard(text.removeprefix(_ALIVE))
        elif text.startswith(_GONE):
            node = text.removeprefix(_GONE)
            around.peers.gone(node)
            self._tally.gone(node)
            self.channels.lose(node)
        elif text.startswith(_HAS):
            node, count = text.removeprefix(_HAS).rsplit(" ", 1)
            if node != around.node:
                self._tally.heard(node, int(count), self.clock.monotonic())
        elif text == _HOW_MANY:
            self._tally.asked()

    async def _interrupted(self) -> None:
        now = self.clock.monotonic()
        self.channels.around.peers.forgive(now)
        self._tally.forgive(now)
        self._tally.asked()
        if self.project.limits.max_connections is not None:
            await self._order(_HOW_MANY)

    async def _count(self, question: bytes) -> bytes:
        return count_channels(self.channels, question)

    async def _greet(self) -> None:
        """Say that this node is there, where others count on it, and see which of them are not."""
        around = self.channels.around
        if not self._bus.statistics().connected:
            # Nobody can be heard, and who is gone will be seen when they can.
            around.peers.forgive(self.clock.monotonic())
            self._tally.forgive(self.clock.monotonic())
            return
        for node in around.peers.give_up(self.clock.monotonic()):
            self.channels.lose(node)
        if self.channels.has_members:
            with suppress(Closed, Unavailable):
                await self._order(_ALIVE + around.node)

    async def _tell(self) -> None:
        """Tell the other nodes how many sockets are here, where they have to know and do not."""
        count, now = len(self.sockets), self.clock.monotonic()
        if self.project.limits.max_connections is None or not self._tally.is_due(count, now):
            return
        with suppress(Closed, Unavailable):
            await self._order(f"{_HAS}{self.channels.around.node} {count}")
            self._tally.told(count, now)

    async def _live(self) -> None:
        """Look at what is due, as long as there is somebody."""
        if self.project.limits.max_connections is not None:
            with suppress(Closed, Unavailable):
                await self._order(_HOW_MANY)
        inspected_at = self.clock.monotonic()
        while True:
            await self._tell()
            if not self.sockets and self.channels.is_empty:
                self._somebody.clear()
                await self._somebody.wait()
            await self.clock.sleep(PULSE)
            now = self.clock.monotonic()
            self.heartbeat.beat()
            self.channels.forget_idle(now)
            if now - self._greeted_at >= GREETING:
                self._greeted_at = now
                self._scope.start(self._greet)
            await self._look_up()
            if now - inspected_at >= self.settings.inspect_interval:
                inspected_at = now
                self._inspect()

    async def _look_up(self) -> None:
        """Look what the project is now."""
        try:
            hosted = await self._host.find(self.project.app_id)
        except UTDStreamException as error:
            if not self._is_troubled:
                log.warning("project %s cannot be looked up: %s", self.project.app_id, error)
            self._is_troubled = True
            return
        except Exception:
            log.exception("project %s cannot be looked up", self.project.app_id)
            return
        self._is_troubled = False
        if hosted is None:
            self._close_all(CloseCode.NO_SUCH_APP, "this project is gone")
        elif hosted.engine is not self.engine:
            self._close_all(CloseCode.RECONNECT, "this project was made anew; come back")
        elif hosted.project.suspended:
            self._close_all(CloseCode.SUSPENDED, "this project is suspended")
        else:
            self.project = hosted.project

    def _inspect(self) -> None:
        """Look whether everybody may still be here."""
        now = self.clock.now()
        for socket in list(self.sockets.values()):
            if socket.good_until <= now:
                socket.close(CloseCode.RECONNECT, "the user token expired; come back with a new one")

    def _close_all(self, code: CloseCode, reason: str) -> None:
        for socket in list(self.sockets.values()):
            socket.close(code, reason)


async def end_connections(bus: MessageBus, app_id: str, user_id: str) -> None:
    """End a user's connections on every node. Raises `Closed`, `Unavailable`."""
    await bus.publish(topic_of(app_id, ORDERS), f"{_END}{user_id}".encode())
