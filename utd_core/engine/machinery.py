"""The parts of a running engine: how they are put together, started, and ended."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from ..errors import Closed, MediaError, UTDStreamException
from ..media.events import Notification
from ..model.room import Room
from .aftermath import Aftermath
from .core import Core
from .deciding.idempotency import Idempotency
from .deciding.lines import Lines
from .deciding.pipeline import Pipeline
from .identity.generations import Generations
from .identity.tokens import UserTokens, token_key
from .kinds import PROJECT
from .media.attendance import Attendance
from .media.media_rooms import MediaRooms, owner_of
from .media.reconciler import Reconciler
from .media.recovery import Recovery
from .media.signals import Signals
from .media.tickets import Tickets
from .statistics import EngineStatistics
from .subscriptions import Subscriptions
from .timing.alarms import Backoff
from .timing.retention import Retention
from .timing.timers import Deadlines
from .views import Lists

log = logging.getLogger("utd_core.engine")

_ENDLESS = 86_400.0
"""Seconds that looking through everything an engine left behind may take."""
_BLIND_INTERVAL = 2.0
"""Seconds between two looks at a backend that notifies of nothing."""


class Machinery:
    """Everything that lives from `open` to `aclose`."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.lines = Lines(core.store, core.clock)
        self.idempotency = Idempotency(core.store)
        self.generations = Generations(core)
        self.pipeline = Pipeline(core, self.lines, self.idempotency)
        self.media_rooms = MediaRooms(core.control)
        self.reconciler = Reconciler(core, self.pipeline, self.media_rooms)
        self.subscriptions = Subscriptions(core, self.pipeline)
        self.attendance = Attendance(
            core, self.pipeline, self.media_rooms, self.reconciler, on_gone=self.subscriptions.end
        )
        self.signals = Signals(core, self.pipeline)
        self._recovery = Recovery(core, self.pipeline, self.media_rooms, self.reconciler, self.attendance.surveys)
        self._retention = Retention(core, self.pipeline.residents, self.media_rooms)
        self.deadlines = Deadlines(core, self.pipeline)
        self.lists = Lists(core, self.lines)
        self.tokens: UserTokens
        self.tickets: Tickets
        self._aftermath = Aftermath(
            core,
            self.pipeline,
            self.lines,
            self.media_rooms,
            self.reconciler,
            self.attendance,
            self._recovery,
            self.subscriptions,
            self.deadlines,
        )
        self._recovering = core.upkeep("recovery", self._recover, 1, patience=_ENDLESS)
        self.pipeline.attach(self._aftermath)

    async def open(self) -> None:
        """Start; afterwards commands are decided. Raises `StoreFailed` or `MediaError`."""
        core, settings = self.core, self.core.settings
        key = await token_key(core.store) if core.token_key is None else core.token_key
        self.tokens = UserTokens(core.app_id, key, core.clock, settings.user_token_ttl)
        self.tickets = Tickets(
            core, self.pipeline, self.media_rooms, self.reconciler, self.attendance, self.tokens, self.generations
        )
        await self.lines.open()
        await core.scope.open()
        capabilities = core.backend.capabilities
        interval = settings.reconcile_interval
        if capabilities.notifications:
            # Listening begins before anybody can join, so that nothing is missed.
            core.scope.start(self._listen, _notifications(core), name="notifications")
        else:
            interval = min(interval, _BLIND_INTERVAL)
        core.scope.start(core.agenda.run, name="agenda")
        core.scope.start(self.pipeline.run, name="pipeline")
        # Every decision looks at the project's bans.
        await self.pipeline.state(PROJECT, core.app_id)
        self._aftermath.evict_banned()
        core.scope.start(self.deadlines.run, name="deadlines")
        core.scope.start(self._every, interval, self.attendance.surveys.ask_all, name="surveys")
        core.scope.start(self._every, settings.prune_interval, self._retention.prune, name="pruning")
        self._recovering.ask("everything")

    async def aclose(self) -> None:
        """End every part; the transaction that is under way may still take `close_grace` seconds. Idempotent."""
        core = self.core
        self.signals.close()
        self.pipeline.stop()
        if core.scope.is_open:
            core.scope.start(self._lose_patience, name="closing")
            await self.pipeline.stopped()
        await core.scope.aclose()
        self.pipeline.abandon()

    def is_needed(self, seconds: float) -> bool:
        """Whether somebody is in a room or call, or about to be, or a deadline comes within so many seconds."""
        return (
            any(self.core.presences.values())
            or len(self.subscriptions) > 0
            or self.deadlines.next <= self.core.clock.now() + seconds
        )

    @property
    def is_busy(self) -> bool:
        """Whether something is being decided, looked at or mended."""
        upkeeps = (
            self.reconciler.people,
            self.reconciler.rooms,
            self.attendance.surveys.upkeep,
            self._recovering,
        )
        return self.pipeline.waiting > 0 or any(upkeep.waiting for upkeep in upkeeps)

    def statistics(self) -> EngineStatistics:
        calls = rooms = people = 0
        for room, presence in self.core.presences.items():
            if not presence:
                continue
            if owner_of(room)[0].state is Room:
                rooms += 1
                people += len(presence)
            else:
                calls += 1
        upkeep = self.reconciler.people
        return EngineStatistics(
            rooms=rooms,
            calls=calls,
            participants=people,
            resident=len(self.pipeline.residents),
            waiting=self.pipeline.waiting,
            subscriptions=len(self.subscriptions),
            commands=dict(self.pipeline.results),
            commits=self.pipeline.commits,
            events=self.pipeline.events,
            refused_for=self.pipeline.refused_for,
            reconcile_waiting=upkeep.waiting,
            reconcile_lag=upkeep.lag,
            reconcile_lag_max=upkeep.lag_max,
            reconcile_failures=upkeep.failures
            + self.reconciler.rooms.failures
            + self.attendance.surveys.upkeep.failures,
        )

    async def _listen(self, notifications: AsyncIterator[Notification] | None) -> None:
        """Hear the backend out; where its stream breaks, listen again and look at everything that was missed."""
        settings = self.core.settings
        backoff, heard = Backoff(settings.retry_first, settings.retry_limit), False
        while True:
            try:
                if notifications is None:
                    notifications = self._listen_again()
                async for notification in notifications:
                    heard = True
                    self.attendance.notice(notification)
                return
            except Closed:
                return
            except Exception:
                log.exception("the notifications of %r broke off; listening again", self.core.backend.name)
            if heard:
                backoff, heard = Backoff(settings.retry_first, settings.retry_limit), False
            await self.core.clock.sleep(backoff.step())
            notifications = None

    def _listen_again(self) -> AsyncIterator[Notification]:
        notifications = self.core.control.notifications()
        for room in self.core.presences:
            self.attendance.surveys.ask(room)
        return notifications

    async def _every(self, seconds: float, function: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self.core.clock.sleep(seconds)
            try:
                await function()
            except Closed:
                return
            except UTDStreamException as error:
                log.warning("%s failed; it comes again in %s s: %s", function.__name__, seconds, error)

    async def _recover(self, _: str) -> None:
        await self._recovery.recover_all()
        self._retention.is_recovered = True

    async def _lose_patience(self) -> None:
        await self.core.clock.sleep(self.core.settings.close_grace)
        self.pipeline.lose_patience()


def _notifications(core: Core) -> AsyncIterator[Notification]:
    try:
        return core.control.notifications()
    except UTDStreamException:
        raise
    except Exception as error:
        raise MediaError(f"backend {core.backend.name!r} failed to tell what happens: {error}") from error
