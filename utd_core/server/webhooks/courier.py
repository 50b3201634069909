"""Brings an endpoint what waits for it: lane by lane in order, several lanes beside each other."""

from __future__ import annotations

import asyncio
import logging
from math import inf

from ...concurrency import Clock, TaskScope
from ...concurrency.alarm import Alarm
from ...errors import Closed, StoreFailed
from ...store.outbox import Outbox, Parcel
from .schedule import next_try
from .sender import NotTaken, Sender
from .settings import WebhookSettings

log = logging.getLogger("utd_core.server")

_LEASE_MARGIN = 10.0
"""Seconds beyond the timeout of a request, in which its outcome has to be noted."""
_IN_A_ROW = 50
"""Parcels of one lane, then others have a turn."""
_STORE_PAUSE = 1.0


class Courier:
    """`delivered` and `failed` count what became of tries; `name` is the endpoint's. `sender` may be changed: the next
    try is its."""

    def __init__(
        self, name: str, outbox: Outbox, sender: Sender, clock: Clock, scope: TaskScope, settings: WebhookSettings
    ) -> None:
        self.delivered = 0
        self.failed = 0
        self.sender = sender
        self._name = name
        self._outbox = outbox
        self._clock = clock
        self._scope = scope
        self._settings = settings
        self._alarm = Alarm(clock, clock.now)
        self._carried = 0
        self._idle = asyncio.Event()
        self._ended = False

    @property
    def is_idle(self) -> bool:
        """Nothing was due when it was looked last, and nothing is under way."""
        return self._idle.is_set() and not self._carried

    def wake(self) -> None:
        """There may be more."""
        self._idle.clear()
        self._alarm.set(-inf)

    async def idle(self) -> None:
        """Return once nothing is due, and nothing under way."""
        self.wake()
        await self._idle.wait()

    def end(self) -> None:
        """Begin nothing any more; what is under way is finished."""
        self._ended = True
        self.wake()

    async def run(self) -> None:
        """Deliver, until `end`."""
        while not self._ended:
            try:
                await self._round()
            except Closed:
                self._idle.set()
                return
            except StoreFailed as error:
                log.warning("webhook %s: what waits cannot be read; it is tried again: %s", self._name, error)
                self._alarm.set(self._clock.now() + _STORE_PAUSE)
            await self._alarm.wait()
        self._idle.set()

    async def _round(self) -> None:
        """Take on as much as there is room for, and find out when to look again."""
        now = self._clock.now()
        room = self._settings.concurrency - self._carried
        claimed = await self._outbox.claim(self._name, now, self._until(now), room) if room else []
        for parcel in claimed:
            self._carried += 1
            self._scope.start(self._carry, parcel, name=f"webhook {self._name}")
        if len(claimed) < room:
            due = await self._outbox.next_due(self._name)
            if not self._carried and (due is None or due > self._clock.now()):
                self._idle.set()
            # Other nodes put something into the outbox too, and may end before they deliver it.
            self._alarm.set(min(now + self._settings.poll_interval, inf if due is None else due))

    async def _carry(self, first: Parcel) -> None:
        """Deliver a parcel, and those behind it in its lane."""
        parcel: Parcel | None = first
        try:
            for _ in range(_IN_A_ROW):
                if parcel is None or self._ended:
                    break
                parcel = await self._try(parcel)
            if parcel is not None:
                await self._outbox.hand_back(parcel, self._clock.now())
        except Closed:
            log.debug("webhook %s ends: closed", self._name)
        except StoreFailed as error:
            # Nobody knows that it was taken, so it comes again.
            log.warning("webhook %s: what became of %s was not noted: %s", self._name, first.outgoing.id, error)
        finally:
            self._carried -= 1
            self._alarm.set(-inf)

    async def _try(self, parcel: Parcel) -> Parcel | None:
        """One try; the next parcel of the lane that is now ours."""
        try:
            await self.sender.send(parcel)
        except NotTaken as reason:
            return await self._put_off(parcel, str(reason))
        except Exception as error:
            log.exception("webhook %s: sending failed", self._name)
            return await self._put_off(parcel, type(error).__name__)
        self.delivered += 1
        now = self._clock.now()
        return await self._outbox.delivered(parcel, now, self._until(now))

    async def _put_off(self, parcel: Parcel, reason: str) -> Parcel | None:
        """Have it tried again, or give it up."""
        self.failed += 1
        outgoing, now = parcel.outgoing, self._clock.now()
        again = next_try(outgoing.at, parcel.first_at, now)
        if again is None:
            log.warning("webhook %s never took %s, which is given up: %s", self._name, outgoing.id, reason)
            return await self._outbox.bury(parcel, reason, now, self._until(now))
        log.info("webhook %s did not take %s: %s", self._name, outgoing.id, reason)
        await self._outbox.postpone(parcel, again)
        return None

    def _until(self, now: float) -> float:
        return now + self._settings.timeout + _LEASE_MARGIN
