"""State that follows the engine by applying the same events to the same model (law 4).

A mirror subscribes, reads a snapshot, and applies every later event in order. Nothing is polled and nothing is guessed.
When the stream breaks (the reader fell behind, an offset is missing, the epoch is another one) it recovers in tiers:

1. a short gap: the channel replays what was missed;
2. a longer one: it is no longer held, so the snapshot is read again, and the follower is told `recovered=False`;
3. neither can be had for as long as patience lasts, or it is refused: the mirror is lost, and says why.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import anyio

from ...broker.base import Recover, Subscription
from ...concurrency import Clock
from ...errors import Closed, Refused, Unauthenticated, UTDStreamException
from ...store.base import Envelope
from ..link import EngineLink
from ..policy import RetryPolicy

log = logging.getLogger("utd_core.client")

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[S]):
    """A state, and its place in the channel: events after it can be applied to it."""

    state: S
    epoch: str
    offset: int


class Follower(Protocol):
    """Whoever owns the mirror. The calls come where events are received, so they never wait."""

    def changed(self, envelope: Envelope | None) -> None:
        """The state has changed by one event, or is another one altogether (None)."""
        ...

    def recovering(self) -> None:
        """The stream broke; the state is old until `resynced`."""
        ...

    def resynced(self, recovered: bool) -> None:
        """The state is live again; `changed(None)` came before when events were missed."""
        ...

    def lost(self, error: UTDStreamException | None) -> None:
        """The mirror has ended: the channel let this client go (None), or `error` stood in the way."""
        ...


@dataclass(frozen=True, slots=True)
class Following:
    """A `Follower` made of functions, for an owner that shows none of them to its own users."""

    changed: Callable[[Envelope | None], None]
    recovering: Callable[[], None]
    resynced: Callable[[bool], None]
    lost: Callable[[UTDStreamException | None], None]


class _Gap(Exception):
    """The stream does not go on where it was."""


class Mirror(Generic[S]):
    """One channel's state. `open()` it, then let `run()` follow until it is stopped.

    `read` answers the snapshot; the subscription is there before, so nothing falls between both.
    """

    def __init__(
        self,
        link: EngineLink,
        channel: str,
        *,
        read: Callable[[Subscription], Awaitable[Snapshot[S]]],
        apply: Callable[[S, Envelope], S],
        follower: Follower,
        retry: RetryPolicy,
        identity: str,
    ) -> None:
        self.channel = channel
        self._link = link
        self._clock: Clock = link.clock
        self._read = read
        self._apply = apply
        self._follower = follower
        self._retry = retry
        self._identity = identity
        self._snapshot: Snapshot[S] | None = None
        self._subscription: Subscription | None = None
        self._distrusted = False
        self._stop = anyio.CancelScope()

    @property
    def state(self) -> S:
        """The state as of the last event that was applied."""
        assert self._snapshot is not None, "a mirror is opened before it is looked at"
        return self._snapshot.state

    @property
    def is_open(self) -> bool:
        return self._snapshot is not None

    @property
    def place(self) -> Recover | None:
        """Where the state is in the channel."""
        return None if self._snapshot is None else Recover(self._snapshot.epoch, self._snapshot.offset)

    @property
    def parting(self) -> Exception | None:
        """What the engine said as it let this client go; what it sent before that may still be on its way in."""
        return None if self._subscription is None else self._subscription.events.error

    async def open(self) -> None:
        """Subscribe and read the snapshot. Raises what the engine refuses it with."""
        try:
            await self._load(None)
        except BaseException:
            self._let_go()
            raise
        self._follower.changed(None)

    async def run(self) -> None:
        """Follow until `stop`, or until the mirror is lost."""
        with self._stop:
            try:
                while not self._stop.cancel_called and await self._follow() and await self._recover():
                    pass
            finally:
                self._let_go()

    def stop(self) -> None:
        """End `run()`. Idempotent."""
        self._stop.cancel()
        self._let_go()

    def catch_up(self) -> None:
        """Apply what has arrived already."""
        if self._subscription is None:
            return
        queue = self._subscription.events
        while len(queue):
            envelope = queue.get_nowait()
            assert envelope is not None
            if not self._take(envelope):
                # The reader, which waits on this queue, is told of the gap.
                queue.close(_Gap())
                while queue.get_nowait() is not None:
                    pass

    async def _follow(self) -> bool:
        """Apply events until the stream breaks; False when the mirror has ended."""
        assert self._subscription is not None
        queue = self._subscription.events
        try:
            async for envelope in queue:
                if self._stop.cancel_called:
                    return False  # it had been handed over when the follower stopped listening
                if not self._take(envelope):
                    return True
        except (_Gap, Closed):
            return True
        except UTDStreamException as error:
            self._follower.lost(error)
            return False
        # The channel was closed without an error: this client has no business in it any more.
        self._follower.lost(None)
        return False

    def _take(self, envelope: Envelope) -> bool:
        """Apply the next event; False when events are missing before it."""
        present = self._snapshot
        assert present is not None
        if envelope.epoch == present.epoch:
            if envelope.offset <= present.offset:
                return True
            if envelope.offset == present.offset + 1 and self._apply_next(envelope):
                self._follower.changed(envelope)
                return True
        return False

    def _apply_next(self, envelope: Envelope) -> bool:
        """Change the state; False when this client's model cannot follow the engine's (another version, say)."""
        assert self._snapshot is not None
        try:
            state = self._apply(self._snapshot.state, envelope)
        except Exception:
            log.exception("%s: event %d of %s cannot be applied", self._identity, envelope.offset, self.channel)
            self._distrusted = True
            return False
        self._snapshot = Snapshot(state, envelope.epoch, envelope.offset)
        return True

    async def _recover(self) -> bool:
        """Become live again; False when that is given up."""
        log.info("%s: the stream of %s broke; recovering", self._identity, self.channel)
        self._follower.recovering()
        waits = self._retry.waits(self._identity, self._clock)
        while True:
            try:
                # A state that an event was half applied to is worthless: then there is nothing to go on from.
                recovered = await self._load(None if self._distrusted else self.place)
            except (Refused, Unauthenticated, Closed) as error:
                self._follower.lost(error)
                return False
            except UTDStreamException as error:
                wait = next(waits, None)
                if wait is None:
                    self._follower.lost(error)
                    return False
                log.info("%s: recovering %s has to wait: %s", self._identity, self.channel, error)
                await self._clock.sleep(wait)
            else:
                if not recovered:
                    self._follower.changed(None)
                self._follower.resynced(recovered)
                return True

    async def _load(self, place: Recover | None) -> bool:
        """Subscribe, and read the snapshot unless the channel replays everything since `place`; whether it does."""
        self._let_go()
        self._subscription = subscription = await self._link.subscribe(self.channel, recover=place)
        if place is not None and subscription.recovered:
            return True
        self._snapshot = await self._read(subscription)
        self._distrusted = False
        return False

    def _let_go(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            self._link.unsubscribe(subscription)
