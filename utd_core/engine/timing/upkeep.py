"""Work that is done again until it holds.

Level-triggered: asking names *what* to look at (a key), never what to do; the handler looks at how things are when
its turn comes. Asked often, a key is worked on once; asked while it is worked on, once more afterwards; failed, or not
done in time, again after a wait that doubles.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import anyio

from ...concurrency import Clock, TaskScope
from ...concurrency.alarm import TICK
from ...errors import Closed, Unsupported, UTDStreamException
from .alarms import Agenda, Backoff

log = logging.getLogger("utd_core.engine")

K = TypeVar("K", bound=Hashable)


class _Run:
    """Work on one key that is under way since `since` (`monotonic` seconds), in the scope of its worker."""

    __slots__ = ("scope", "since", "waiters")

    def __init__(self, since: float, scope: anyio.CancelScope) -> None:
        self.since = since
        self.scope = scope
        self.waiters: list[asyncio.Future[None]] = []


class Upkeep(Generic[K]):
    """At most `limit` keys are worked on at once, each by a task that ends with the work; but one stays for the next.

    `handler(key)` returns when the key needs nothing more; after `patience` seconds, or up to twice as many, it is
    cancelled. An `Unsupported` is final: trying again cannot help.
    """

    def __init__(
        self,
        name: str,
        handler: Callable[[K], Awaitable[None]],
        *,
        scope: TaskScope,
        clock: Clock,
        agenda: Agenda,
        limit: int,
        patience: float,
        retry_first: float,
        retry_limit: float,
    ) -> None:
        self.name = name
        self.failures = 0
        self.lag_max = 0.0
        self._handler = handler
        self._scope = scope
        self._clock = clock
        self._agenda = agenda
        self._limit = limit
        self._patience = patience
        self._watching = False
        self._retry = (retry_first, retry_limit)
        self._workers = 0
        self._parked: asyncio.Future[None] | None = None
        self._waiting: dict[K, None] = {}
        self._running: dict[K, _Run] = {}
        self._again: set[K] = set()
        self._since: dict[K, float] = {}
        self._backoffs: dict[K, Backoff] = {}
        self._unsupported: set[str] = set()

    def ask(self, key: K) -> None:
        """Look at `key` soon."""
        self._since.setdefault(key, self._clock.monotonic())
        if key in self._running:
            self._again.add(key)
            return
        self._waiting[key] = None
        parked, self._parked = self._parked, None
        if parked is not None and not parked.done():
            parked.set_result(None)
        elif self._workers < self._limit and self._scope.is_open:
            self._workers += 1
            self._scope.start(self._work, name=self.name)

    def ask_after(self, seconds: float, key: K) -> None:
        """Look at `key` in `seconds`."""
        self._agenda.after(seconds, lambda: self.ask(key))

    async def quiet(self, key: K) -> None:
        """Return once nobody works on `key`; it may wait for its turn."""
        while key in self._running:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._running[key].waiters.append(done)
            await done

    @property
    def waiting(self) -> int:
        """Keys that need something, also those that wait for another try."""
        return len(self._since)

    @property
    def lag(self) -> float:
        """Seconds since the first of them was asked for."""
        first = next(iter(self._since.values()), None)
        return 0.0 if first is None else self._clock.monotonic() - first

    async def _work(self) -> None:
        try:
            while True:
                # A scope costs more than most of the work, so one serves until it has been cancelled.
                with anyio.CancelScope() as scope:
                    await self._work_in(scope)
                if not scope.cancel_called:
                    return
        finally:
            self._workers -= 1
            if self._parked is not None and self._parked.done():
                self._parked = None

    async def _work_in(self, scope: anyio.CancelScope) -> None:
        """Work until there is nothing for this worker, or `scope` was cancelled."""
        while True:
            while self._waiting:
                await self._work_on(next(iter(self._waiting)), scope)
                if scope.cancel_called:
                    return
            if self._parked is not None:
                return
            # Starting a task costs more than most of the work: the last one waits for more.
            self._parked = asyncio.get_running_loop().create_future()
            await self._parked

    async def _work_on(self, key: K, scope: anyio.CancelScope) -> None:
        del self._waiting[key]
        run = self._running[key] = _Run(self._clock.monotonic(), scope)
        self._watch()
        done = False
        try:
            done = await self._try(key)
        except asyncio.CancelledError:
            if scope.cancel_called:
                self.failures += 1
                log.warning("%s of %r was not done within %s s; it is tried again", self.name, key, self._patience)
            raise
        finally:
            del self._running[key]
            for waiter in run.waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._settle(key, done)

    def _watch(self) -> None:
        """One look at all that is worked on, every `patience` seconds, costs less than a timer for each."""
        if not self._watching:
            self._watching = True
            self._agenda.after(self._patience, self._end_the_endless)

    def _end_the_endless(self) -> None:
        self._watching = False
        latest = self._clock.monotonic() - self._patience + TICK
        for run in self._running.values():
            if run.since <= latest:
                run.scope.cancel()
        if self._running:
            self._watch()

    def _settle(self, key: K, done: bool) -> None:
        if key in self._again:
            self._again.discard(key)
            self._waiting[key] = None
        elif done:
            self._backoffs.pop(key, None)
            lag = self._clock.monotonic() - self._since.pop(key)
            self.lag_max = max(self.lag_max, lag)
        else:
            backoff = self._backoffs.get(key) or self._backoffs.setdefault(key, Backoff(*self._retry))
            self.ask_after(backoff.step(), key)

    async def _try(self, key: K) -> bool:
        try:
            await self._handler(key)
        except Closed:
            log.debug("%s of %r ends: closed", self.name, key)
        except Unsupported as error:
            if error.message not in self._unsupported:
                self._unsupported.add(error.message)
                log.warning("%s is left undone: %s", self.name, error)
        except UTDStreamException as error:
            # Its words say it all, and it may be said often: a media server is away for as long as it is.
            self.failures += 1
            log.warning("%s of %r failed; it is tried again: %s", self.name, key, error)
            return False
        except Exception:
            self.failures += 1
            log.warning("%s of %r failed; it is tried again", self.name, key, exc_info=True)
            return False
        return True
