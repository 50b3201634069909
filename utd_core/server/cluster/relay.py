"""The engine of a project, wherever it is: what requests and sockets of a node meet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from secrets import token_hex
from typing import Any, TypeVar

from ...broker import Recover, Subscription
from ...concurrency import BoundedQueue, Clock, TaskScope, within
from ...concurrency.shared import begin
from ...engine.identity.tokens import UserTokens
from ...engine.subscriptions import Admission
from ...errors import Closed, DeadlineExceeded, StoreFailed, Unavailable, UTDStreamException
from ...media.signalling import SignallingDesk
from ...model.command import THE_SERVER, Actor, Command
from ...model.commands import CreateSession
from ...store.base import Envelope, Head, Store
from .admissions import Admissions, Held
from .near import NearEngine
from .settings import ClusterSettings
from .way import Lost, OnLost, Way

log = logging.getLogger("utd_core.server")

T = TypeVar("T")

Seek = Callable[[OnLost], Awaitable[Way]]
"""Finds a way to the engine: here, if the project is this node's or nobody's; else to its holder. Raises `Lost` where
the holder cannot be asked, and what claiming a lease and opening an engine do."""

_KEY_BYTES = 12


class Relay:
    """An engine to those who use it, for as long as the project is hosted on this node; a `HostedEngine`.

    - While this node holds the project, everything is its own engine's. Else the holder is asked; where there is none,
      whatever is asked for next has this node claim the project.
    - Between two holders commands wait, and go to the next one. They are done once: to another node they go under a
      key, one of their own where the caller gave none. A command that had no key and was under way on this node is
      `Closed`: nobody knows whether it was done.
    - Admissions last: the next holder is asked for them again, and whom it refuses is told so. Subscriptions do not:
      they are closed, and whoever reads them goes on from the last place with another one. That place may be one that
      this node has not heard of yet, where it was reached by another node: it is waited for.

    `store`: the project's, to read from.
    """

    def __init__(
        self, app_id: str, seek: Seek, *, store: Store, tokens: UserTokens, clock: Clock, settings: ClusterSettings
    ) -> None:
        self.app_id = app_id
        self._store = store
        self.clock = clock
        self._seek = seek
        self._tokens = tokens
        self._settings = settings
        self._scope = TaskScope(f"relay of {app_id}")
        self._way: Way | None = None
        self._lost_ways: set[Way] = set()
        self._search: asyncio.Future[None] | None = None
        self._next_search_at = 0.0
        self._under_way = 0
        self._needed_at = clock.monotonic()
        self._admissions = Admissions(clock, settings.retry)
        # The project was left to nodes that this one cannot ask.
        self._is_apart = False
        self._closed = False

    async def open(self) -> None:
        """Get ready; nobody is asked yet."""
        await self._scope.open()

    async def aclose(self) -> None:
        """End it: an engine of this node is closed, and its lease given back. Idempotent."""
        self._closed = True
        await self._scope.aclose()
        self._admissions.clear()
        if self._way is not None:
            self._lost_ways.add(self._way)
        await self._close_lost()

    @property
    def near(self) -> NearEngine | None:
        """The engine that is at work here, if this node holds the project."""
        return self._way if isinstance(self._way, NearEngine) and self._way.is_open else None

    def rest(self, seconds: float) -> None:
        """Close the engine of this node, and give the lease back, where it was not needed for so long, nor will be for
        as long. Whoever comes next, also while it closes, has it opened anew."""
        near, now = self.near, self.clock.monotonic()
        if near is None:
            return
        if self._under_way or self._admissions or near.is_needed(seconds):
            self._needed_at = now
        elif now - self._needed_at >= seconds and not near.running.is_busy:
            log.info("project %s was not needed for %s s, and rests", self.app_id, seconds)
            near.give_up()

    async def find(self) -> None:
        """See to it that somebody holds the project. Raises as `execute` does."""
        await self._found(self._until(self._settings.patience))

    async def execute(self, command: Command, *, actor: Actor = THE_SERVER, idempotency_key: str | None = None) -> Any:
        """As `Engine.execute`. Raises `Unavailable` where no holder could be asked in time."""
        until, key = self._until(self._settings.patience), idempotency_key
        # Nothing is changed by it, and a key would be written down.
        may_repeat = command.spec.query or isinstance(command, CreateSession)

        again = False

        def give(way: Way) -> Awaitable[Any]:
            nonlocal key, again
            if way.is_far and key is None and not may_repeat:
                key = f"relay-{token_hex(_KEY_BYTES)}"
            asked, again = again, True
            return way.execute(command, actor, key, min(self._left(until), self._settings.attempt), again=asked)

        return await self._by_any_way(give, until)

    def actor_of(self, user_token: str) -> Actor:
        return self._tokens.read(user_token)

    def head(self, channel: str) -> Head | None:
        return None if self._way is None else self._way.head(channel)

    async def subscribe(
        self, channel: str, *, actor: Actor = THE_SERVER, recover: Recover | None = None, capacity: int = 1_000
    ) -> Subscription:
        async def subscribe(way: Way) -> Subscription:
            subscription = await way.subscribe(channel, actor=actor, recover=recover, capacity=capacity)
            if recover is not None and not subscription.recovered:
                await self._reach(way, subscription, recover)
            return subscription

        # Whoever followed already is better off waiting than starting anew, unless there is nothing to wait for here.
        follows = recover is not None
        patience = self._settings.follow_patience if follows else self._settings.patience
        if follows and self._is_apart:
            patience = self._settings.retry
        return await self._by_any_way(subscribe, self._until(patience), insist=follows)

    async def _reach(self, way: Way, subscription: Subscription, place: Recover) -> None:
        """Somebody may have heard, by another node, what has not come by this way yet: the store knows. Then that is
        waited for, and left out. Raises `Lost` where it does not come, and `StoreFailed`."""
        ahead = place.offset - subscription.head.offset
        if place.epoch != subscription.head.epoch or ahead <= 0:
            return
        try:
            committed = await self._store.head(subscription.channel)
            if committed.epoch != place.epoch or committed.offset < place.offset:
                return
            coming = _take(subscription.events, ahead)
            await within(self.clock, self._settings.silence, coming, f"event {place.offset} does not come")
        except (Closed, DeadlineExceeded) as error:
            way.unsubscribe(subscription)
            raise Lost(error.message) from error
        except BaseException:
            way.unsubscribe(subscription)
            raise
        subscription.head, subscription.recovered = Head(place.epoch, place.offset), True

    def unsubscribe(self, subscription: Subscription) -> None:
        if self._way is not None:
            self._way.unsubscribe(subscription)
        # One of a way that is lost is closed, or about to be.
        subscription.events.close()

    async def admit(
        self, channel: str, ended: Callable[[Exception | None], None], *, actor: Actor = THE_SERVER
    ) -> Admission:
        held = Held(Admission(channel, actor.identity, ended), actor)
        await self._by_any_way(partial(self._admissions.admit, held), self._until(self._settings.patience))
        return held.admission

    def dismiss(self, admission: Admission) -> None:
        self._admissions.dismiss(admission)

    async def signalling(self, channel: str, *, actor: Actor) -> SignallingDesk:
        def ask(way: Way) -> Awaitable[SignallingDesk]:
            return way.signalling(channel, actor=actor)

        return await self._by_any_way(ask, self._until(self._settings.patience))

    async def _by_any_way(self, operation: Callable[[Way], Awaitable[T]], until: float, *, insist: bool = False) -> T:
        """What an operation answers; where its way is lost, by the next one. `insist`: also while nothing can be
        opened. Raises `Unavailable` when time runs out, and what the operation raises."""
        self._under_way += 1
        try:
            return await self._by_some_way(operation, until, insist)
        finally:
            self._under_way -= 1

    async def _by_some_way(self, operation: Callable[[Way], Awaitable[T]], until: float, insist: bool) -> T:
        while True:
            try:
                way = await self._found(until)
            except StoreFailed:
                if not insist or self._left(until) <= 0:
                    raise
                await self.clock.sleep(self._settings.retry)
                continue
            try:
                return await operation(way)
            except Lost as error:
                if self._left(until) <= 0:
                    raise self._unavailable(str(error)) from error
            if way.is_open:
                # It was too busy, or the bus was away for a moment.
                await self.clock.sleep(self._settings.retry)

    async def _found(self, until: float) -> Way:
        """A way to the engine, looked for if there is none. Raises `Unavailable` when time runs out, `Closed`, and what
        opening an engine here does."""
        while True:
            self._needed_at = self.clock.monotonic()
            if self._closed:
                raise Closed(f"project {self.app_id!r} is not hosted here any more")
            way = self._way
            if way is not None and way.is_open:
                return way
            search = self._seeking()
            try:
                await within(self.clock, self._left(until), asyncio.shield(search), "nobody could be asked in time")
            except Lost as error:
                if self._left(until) <= 0:
                    raise self._unavailable(str(error)) from error
            except DeadlineExceeded as error:
                raise self._unavailable(error.message) from error

    def _seeking(self) -> asyncio.Future[None]:
        """The search that goes on, begun now where there is none."""
        if self._search is None:
            self._search = begin(self._scope, self._look, name="search")
        return self._search

    async def _look(self) -> None:
        """Look once, a while after the last time. Raises as `Seek` does."""
        is_lost = False
        try:
            await self.clock.sleep(self._next_search_at - self.clock.monotonic())
            if self._way is not None:
                # Its engine was closed by somebody else.
                self._lost_ways.add(self._way)
                self._way = None
            await self._close_lost()
            way = await self._seek(self._lose)
            try:
                await self._admissions.readmit(way)
                if not way.is_open:
                    raise Lost("the holder was lost at once")
            except BaseException:
                self._lost_ways.add(way)
                raise
            self._way, self._is_apart = way, False
        except Lost:
            is_lost = True
            raise
        except UTDStreamException:
            raise
        except Exception:
            log.exception("project %s cannot be opened", self.app_id)
            raise
        finally:
            self._search = None
            if is_lost or self._admissions:
                # There is, or may be, somebody who asks again at once.
                self._next_search_at = self.clock.monotonic() + self._settings.retry
            if self._way is None:
                self._look_after()

    def _lose(self, way: Way) -> None:
        """A way is lost, in this moment."""
        self._lost_ways.add(way)
        if self._way is way:
            self._is_apart = isinstance(way, NearEngine) and way.made_way
            self._way = None
            self._next_search_at = self.clock.monotonic()
            self._look_after()

    def _look_after(self) -> None:
        """Somebody has to be found for those who are admitted; if there are none, it is enough to clean up."""
        if not self._scope.is_open or self._search is not None:
            return
        if self._admissions:
            self._seeking()
        elif self._lost_ways:
            self._scope.start(self._close_lost, name="closing")

    async def _close_lost(self) -> None:
        for way in list(self._lost_ways):
            await way.aclose()
            self._lost_ways.discard(way)

    def _until(self, patience: float) -> float:
        return self.clock.monotonic() + patience

    def _left(self, until: float) -> float:
        return until - self.clock.monotonic()

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(
            f"the node that works for project {self.app_id!r} cannot be asked at the moment ({why}); try again, with "
            "the same idempotency key"
        )


async def _take(events: BoundedQueue[Envelope], count: int) -> None:
    for _ in range(count):
        await events.get()
