"""One connection of the event socket, from opening it to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import anyio

from ...concurrency import BoundedQueue, Clock, Overflow
from ...concurrency.alarm import TICK, Alarm
from ...errors import Closed, Unavailable, UTDStreamException
from ...store.base import Head
from . import protocol
from .channels import Channels
from .lines import Lines
from .settings import RemoteSettings
from .transport import Socket, SocketClosed, Transport

log = logging.getLogger("utd_core.client")

_OUTGOING = 256
"""Messages that may wait to be sent; a connection that takes none of so many is none."""


class Dialogue:
    """Signs in and follows channels. `opened` is set once the server knows who this is; `run` ends with the connection.

    `code` is then that of its close, 1006 where there was none. Whoever follows a channel is told why it ended.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        settings: RemoteSettings,
        unreadable: Callable[[str, Head, str], None],
    ) -> None:
        self.lines = Lines(self._say)
        self.channels = Channels(self._say, settings.queue_capacity, unreadable)
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.code = 1006
        self.is_over = False
        self._transport = transport
        self._clock = clock
        self._settings = settings
        self._silence = settings.silence
        self._heard_at = clock.monotonic()
        self._said_at: float | None = None
        """When the first thing was said that nothing was heard after."""
        self._alarm = Alarm(clock, clock.monotonic)
        self._outgoing: BoundedQueue[str] = BoundedQueue(_OUTGOING, Overflow.CLOSE)
        self._socket: Socket | None = None
        self._life = anyio.CancelScope()

    async def run(self, url: str, token: str) -> None:
        """Open the socket, sign in, and listen until the end."""
        closed, failure = SocketClosed(), None
        try:
            with self._life:
                try:
                    self._socket = await self._transport.connect(url)
                    await self._talk(self._socket, token)
                except SocketClosed as said:
                    closed = said
                except UTDStreamException as error:
                    failure = error
        finally:
            self._end(closed, failure)
            if self._socket is not None:
                with anyio.CancelScope(shield=True):
                    await self._socket.aclose()

    def hang_up(self) -> None:
        """End it. Idempotent."""
        self._life.cancel()

    def sign_in(self, token: str) -> None:
        """Show the token that this user has now."""
        self._say(protocol.sign_in(token))

    async def _talk(self, socket: Socket, token: str) -> None:
        """Raises `SocketClosed`, or `Unavailable` for a server that does not speak the protocol."""
        self._heard_at = self._clock.monotonic()
        self.sign_in(token)
        raised: list[Exception] = []
        async with anyio.create_task_group() as group:

            async def until_the_end(part: Callable[[Socket], Awaitable[None]]) -> None:
                try:
                    await part(socket)
                except (SocketClosed, UTDStreamException) as error:
                    raised.append(error)
                    group.cancel_scope.cancel()

            for part in (self._listen, self._speak, self._watch):
                group.start_soon(until_the_end, part)
        if raised:
            raise raised[0]

    async def _listen(self, socket: Socket) -> None:
        while True:
            text = await socket.receive()
            self._heard_at, self._said_at = self._clock.monotonic(), None
            self._hear(protocol.read(text))

    async def _speak(self, socket: Socket) -> None:
        async for text in self._outgoing:
            await socket.send(text)

    async def _watch(self, socket: Socket) -> None:
        """Ask for a sign of life after a silence, sooner where something was said; raises `SocketClosed` where none
        comes."""
        clock = self._clock
        while True:
            left = self._patience()
            if left > TICK:
                # Something may be said meanwhile, which sets it to less.
                self._alarm.set(clock.monotonic() + left)
                await self._alarm.wait()
                continue
            asked_at = clock.monotonic()
            self._say(protocol.PING)
            await clock.sleep(self._settings.pong_timeout)
            if self._heard_at < asked_at:
                raise SocketClosed(reason=f"nothing was heard for {clock.monotonic() - self._heard_at:.0f} s")

    def _patience(self) -> float:
        """For how many seconds more nothing needs to be heard."""
        now = self._clock.monotonic()
        left = self._heard_at + self._silence - now
        if self._said_at is not None:
            left = min(left, self._said_at + self._settings.doubt - now)
        return left

    def _hear(self, message: protocol.ServerMessage) -> None:
        match message:
            case protocol.Published(envelope):
                self.channels.published(envelope)
            case protocol.Subscribed(channel, head, recovered):
                self.channels.succeeded(channel, head, recovered)
            case protocol.Refused(channel, error):
                self.channels.refused(channel, error)
            case protocol.Unsubscribed(channel):
                self.channels.ended(channel)
            case protocol.Unreadable(channel, place, type):
                self.channels.unreadable(channel, place, type)
            case protocol.Signalled() | protocol.LineOver():
                self.lines.hear(message)
            case protocol.Established(activity_timeout):
                self._silence = min(self._silence, activity_timeout)
                self._alarm.set(self._heard_at + self._silence)
            case protocol.SignedIn():
                if not self.opened.done():
                    self.opened.set_result(None)
            case protocol.Ping():
                self._say(protocol.PONG)
            case protocol.Other(text):
                log.debug("the server says: %s", text)

    def _say(self, text: str) -> None:
        """Send a message; never waits."""
        if self._said_at is None:
            self._said_at = self._clock.monotonic()
            self._alarm.set(self._said_at + self._settings.doubt)
        if not self._outgoing.put(text):
            self.hang_up()

    def _end(self, closed: SocketClosed, failure: UTDStreamException | None) -> None:
        """`failure`: what went wrong before the socket said anything about it."""
        self.is_over, self.code = True, closed.code
        final = protocol.error_of_close(closed.code, closed.reason)
        refusal = failure or final or Unavailable(f"the socket was lost ({closed}) before there was an answer")
        if not self.opened.done():
            self.opened.set_exception(refusal)
            # Nobody may be left who waits for it.
            self.opened.exception()
        self.lines.close()
        self.channels.close(final or Closed(f"the socket was lost ({closed}); subscribe again"), refusal)
