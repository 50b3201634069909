"""Deadlines of rooms and calls. They stand in the store, so a ring timeout fires after a restart too.

Several engines on one store all bring the time to what is due, and each deadline fires once: the version of the state
guards the commit, so one of them writes, and the others find that nothing is left to do. Nobody has to be elected, and
nobody's death is waited for. An engine that set no deadline itself hears of the others' by looking, every
`deadline_interval`.
"""

from __future__ import annotations

import asyncio
import logging
from math import inf

from ...concurrency.alarm import TICK, Alarm
from ...errors import Closed, UTDStreamException
from ...model.commands.internal import Tick
from ..core import Core
from ..deciding.pipeline import Pipeline
from ..kinds import KINDS
from .alarms import Backoff

log = logging.getLogger("utd_core.engine")

_AT_ONCE = 100


class Deadlines:
    """Sleeps until the store's next deadline, but not for long, and brings the time to whatever is due; what fell due
    before a start is due at the start."""

    def __init__(self, core: Core, pipeline: Pipeline) -> None:
        self._core = core
        self._pipeline = pipeline
        self._alarm = Alarm(core.clock, core.clock.now)
        self._next: float | None = None

    @property
    def next(self) -> float:
        """The earliest one that is known, in seconds since the Unix epoch; infinite where there is none."""
        return inf if self._next is None else self._next

    def expect(self, deadline: float) -> None:
        """Something that was just committed is due at `deadline` (seconds since the Unix epoch)."""
        self._next = min(deadline, self.next)
        self._alarm.set(deadline)

    async def run(self) -> None:
        """Bring the time, for ever."""
        settings = self._core.settings
        backoff = Backoff(settings.retry_first, settings.retry_limit)
        while True:
            overdue = False
            try:
                await self._tick_all()
                following = await self._core.store.next_deadline()
                self._next = following
                overdue = following is not None and following <= self._core.clock.now() + TICK
            except Closed:
                return
            except UTDStreamException as error:
                log.warning("deadlines could not be read; they are read again: %s", error)
                following, overdue = None, True
            # What is still due could not be decided; asking again at once would go on for ever.
            if overdue:
                await self._core.clock.sleep(backoff.step())
                continue
            backoff = Backoff(settings.retry_first, settings.retry_limit)
            look_again = self._core.clock.now() + settings.deadline_interval
            self._alarm.set(look_again if following is None else min(following, look_again))
            await self._alarm.wait()

    async def _tick_all(self) -> None:
        ticked: set[tuple[str, str]] = set()
        while True:
            due = await self._core.store.due(self._core.clock.now() + TICK, _AT_ONCE + len(ticked))
            fresh = [each for each in due if each[:2] not in ticked]
            if not fresh:
                return
            ticked.update(each[:2] for each in fresh)
            ticks = []
            for kind, key, version in fresh:
                if kind in KINDS:
                    self._pipeline.outdate(KINDS[kind], key, version)
                    ticks.append(self._pipeline.bring(KINDS[kind], key, Tick()))
            if ticks:
                await asyncio.wait(ticks)
            for tick in ticks:
                if (error := tick.exception()) is not None:
                    log.warning("a deadline could not be decided; it is tried again: %s", error)
