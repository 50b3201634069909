"""A connection's talk with the control half: what is said goes out in order, what was asked is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from utd_core.concurrency import BoundedQueue, Overflow
from utd_core.errors import Closed, InvalidInput, UTDStreamException
from utd_core.media.signalling import Signal, Signalling, SignallingLost, SignallingRestored

from .protocol import FromControl, Hello, Message, Mute, Publish, read_from_control
from .requests import Requests

log = logging.getLogger("utd_webrtc_p2p")

_OUTBOX = 1_000


class Listener(Protocol):
    """Who hears the other half."""

    def hear(self, message: FromControl) -> None:
        """It says something."""

    def signal_lost(self) -> None:
        """The way to it broke."""

    def signal_restored(self) -> None:
        """There is a way again; it waits for a hello."""

    def hung_up(self) -> None:
        """It will not say anything any more."""


class Dialogue:
    """`talk()` and `listen()` run until the end of the signalling."""

    def __init__(self, signalling: Signalling, listener: Listener) -> None:
        self.is_away = False
        """What is said now would not be heard."""
        self._signalling = signalling
        self._listener = listener
        self._outbox: BoundedQueue[bytes] = BoundedQueue(_OUTBOX, Overflow.CLOSE)
        self._said_all = asyncio.Event()
        self._requests = Requests()

    def say(self, message: Message) -> None:
        """Say something; while the way is broken it is not said, and nobody minds."""
        if not self.is_away:
            self._outbox.put(message.encode())

    def greet(self, hello: Hello, *, again: bool) -> None:
        """Say the first word on a line. `again`: after a break, until the welcome nothing else is said."""
        self._outbox.put(hello.encode())
        self.is_away = again

    def welcomed_again(self) -> None:
        """What was asked before the break and not answered is asked again."""
        self.is_away = False
        for message in self._requests.open():
            self.say(message)

    async def ask(self, message: Publish | Mute, done: Callable[[], None]) -> None:
        """Ask something and wait for the answer; `done()` is called at the moment in which it is heard.

        Raises `PublishRefused`, or what `close` is given.
        """
        answer = self._requests.ask(message, done)
        self.say(message)
        try:
            await answer
        finally:
            self._requests.forget(message.request)

    def next_number(self) -> int:
        """The number of the next request."""
        return self._requests.next_number()

    def concerns(self, track_id: str) -> bool:
        """The publishing of this track is not answered yet."""
        return self._requests.concerns(track_id)

    def done(self, number: int) -> None:
        """A request was carried out."""
        self._requests.done(number)

    def denied(self, number: int, error: UTDStreamException) -> None:
        """A request was refused."""
        self._requests.denied(number, error)

    async def talk(self) -> None:
        """Send what is said."""
        with suppress(Closed):
            async for message in self._outbox:
                await self._signalling.send(message)
        self._said_all.set()

    async def listen(self) -> None:
        """Hand over what comes."""
        # It ends with an error where more came than could be held, which is the end as well.
        with suppress(Closed):
            async for signal in self._signalling.incoming:
                self._hear(signal)
        self._listener.hung_up()

    def _hear(self, signal: Signal) -> None:
        match signal:
            case SignallingLost():
                self.is_away = True
                self._listener.signal_lost()
            case SignallingRestored():
                self._listener.signal_restored()
            case _:
                try:
                    self._listener.hear(read_from_control(signal))
                except InvalidInput as error:
                    log.warning("the control half says what makes no sense: %s", error)

    async def said_all(self) -> None:
        """Wait until the last word has gone out."""
        await self._said_all.wait()

    def close(self, error: UTDStreamException) -> None:
        """Nothing is said any more, and what was asked ends with `error`. Idempotent."""
        self._outbox.close()
        self._requests.close(error)
