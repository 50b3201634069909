"""The way from a media connection to the control half beside an engine on the network.

It goes over the socket that carries events, as lines on the channel of the connection's room or call. When the socket
is lost, or the engine moves to another node, a new line is opened as soon as there is a way again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import chain, repeat

from ...broker.base import Subscription
from ...concurrency import BoundedQueue, Clock, Overflow, TaskScope
from ...errors import (
    Closed,
    DeadlineExceeded,
    RateLimited,
    StoreFailed,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UTDStreamException,
)
from ...media.signalling import (
    MAX_SIGNAL_BYTES,
    Signal,
    Signalling,
    SignallingDesk,
    SignallingLine,
    SignallingLost,
    SignallingRestored,
)
from ..policy import RetryPolicy
from .events import Events

log = logging.getLogger("utd_core.client")

_CAPACITY = 1_000
_SHORT = 1.0
"""Seconds; a line that lasted longer was a line."""
_PASSING = (Closed, DeadlineExceeded, RateLimited, StoreFailed, Unauthenticated, Unavailable)
"""What keeps a client from following a channel for a while; anything else is said for good."""


class SocketSignalling(Signalling):
    """From `open()` to `aclose()`."""

    def __init__(self, events: Events, channel: str, identity: str, retry: RetryPolicy, clock: Clock) -> None:
        self._events = events
        self._channel = channel
        self._identity = identity
        self._retry = retry
        self._clock = clock
        self._incoming: BoundedQueue[Signal] = BoundedQueue(_CAPACITY, Overflow.CLOSE)
        self._line: SignallingLine | None = None
        self._scope = TaskScope(f"signalling on {channel}")

    async def open(self) -> None:
        """Open the first line. Raises what `Events.subscribe` raises."""
        subscription, desk = await self._events.subscribe_with_lines(self._channel)
        try:
            await self._scope.open()
            self._open_line(subscription, desk)
            self._scope.start(self._carry, subscription)
        except BaseException:
            self._events.unsubscribe(subscription)
            await self.aclose()
            raise

    @property
    def incoming(self) -> BoundedQueue[Signal]:
        return self._incoming

    async def send(self, message: bytes) -> None:
        if self._incoming.closed:
            raise Closed("this signalling has ended")
        if len(message) > MAX_SIGNAL_BYTES:
            raise TooLarge(f"a signalling message holds at most {MAX_SIGNAL_BYTES} bytes, got {len(message)}")
        if self._line is not None:
            self._line.receive(message)

    async def aclose(self) -> None:
        self._incoming.close()
        line, self._line = self._line, None
        if line is not None:
            line.lose()
        await self._scope.aclose()

    async def _carry(self, subscription: Subscription) -> None:
        """Stay on the channel, with a line, until the control half hangs up."""
        waits = self._waits()
        while True:
            began = self._clock.monotonic()
            await self._stay(subscription)
            if self._incoming.closed:
                return
            self._line = None
            self._incoming.put(SignallingLost())
            if self._clock.monotonic() - began < _SHORT:
                # One that breaks as soon as it is there is not tried again at once.
                await self._clock.sleep(next(waits))
            else:
                waits = self._waits()
            again = await self._come_back(waits)
            if again is None:
                self._incoming.close()
                return
            subscription, desk = again
            self._open_line(subscription, desk)
            self._incoming.put(SignallingRestored())

    async def _stay(self, subscription: Subscription) -> None:
        """What happens on the channel is others' to read; this is until it ends, or is given up with the line."""
        try:
            async for _ in subscription.events:
                pass
        except UTDStreamException as error:
            log.info("signalling on %s is interrupted: %s", self._channel, error)
        finally:
            self._events.unsubscribe(subscription)

    def _waits(self) -> Iterator[float]:
        return chain(self._retry.waits(self._identity), repeat(self._retry.longest_wait))

    async def _come_back(self, waits: Iterator[float]) -> tuple[Subscription, SignallingDesk] | None:
        """Follow the channel again; None where that is refused for good."""
        while True:
            try:
                return await self._events.subscribe_with_lines(self._channel)
            except _PASSING as error:
                log.info("signalling on %s cannot go on yet: %s", self._channel, error)
            except UTDStreamException as error:
                log.info("signalling on %s is over: %s", self._channel, error)
                return None
            await self._clock.sleep(next(waits))

    def _open_line(self, subscription: Subscription, desk: SignallingDesk) -> None:
        def lost() -> None:
            self._events.unsubscribe(subscription)

        try:
            self._line = desk.open_line(self._deliver, self._hang_up, lost)
        except Closed:
            lost()

    def _deliver(self, message: bytes) -> None:
        self._incoming.put(message)

    def _hang_up(self) -> None:
        self._line = None
        self._incoming.close()
