"""Who may follow which channel by the word of a project's engine, whichever node has it."""

from __future__ import annotations

import asyncio
import logging

from ...concurrency import Clock
from ...engine.subscriptions import Admission
from ...errors import StoreFailed, Unavailable, UTDStreamException
from ...model.command import Actor
from .way import Lost, Way

log = logging.getLogger("utd_core.server")

_READMITTED_AT_ONCE = 500


class Admissions:
    """Those that the users of one relay were given. They last: each new holder is asked for them again, and whom it
    refuses is told so. `pause`: seconds before somebody who cannot answer at the moment is asked again."""

    def __init__(self, clock: Clock, pause: float) -> None:
        self._clock = clock
        self._pause = pause
        self._held: dict[Admission, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def clear(self) -> None:
        """Forget all of them."""
        self._held.clear()

    def dismiss(self, admission: Admission) -> None:
        """It is not needed any more. Idempotent."""
        held = self._held.pop(admission, None)
        if held is not None:
            held.over()

    async def admit(self, held: Held, way: Way) -> None:
        """Have somebody admitted by this way. Raises what the engine refuses it with, and `Lost`."""

        def ended(error: Exception | None) -> None:
            # Somebody else may have been asked meanwhile, and then that one's word counts.
            if held.way is way and not held.is_over:
                held.over()
                self._held.pop(held.admission, None)
                held.admission.ended(error)

        held.way, held.inner = way, None
        inner = await way.admit(held.admission.channel, ended, actor=held.actor)
        if held.is_over or not way.is_open:
            way.dismiss(inner)
        if not way.is_open:
            raise Lost("the holder was lost meanwhile")
        if not held.is_over:
            held.inner = inner
            self._held[held.admission] = held

    async def readmit(self, way: Way) -> None:
        """Have everybody admitted who was so by the way before. Raises `Lost`."""
        waiting = list(self._held.values())
        if not way.is_far:
            # One after the other they need no more than what is in memory.
            for held in waiting:
                await self._readmit_one(held, way)
            return
        for first in range(0, len(waiting), _READMITTED_AT_ONCE):
            some = waiting[first : first + _READMITTED_AT_ONCE]
            await asyncio.gather(*(self._readmit_one(held, way) for held in some))

    async def _readmit_one(self, held: Held, way: Way) -> None:
        while not held.is_over:
            try:
                await self.admit(held, way)
            except (StoreFailed, Unavailable) as error:
                log.info(
                    "whether %r may follow %s is asked again: %s", held.actor.identity, held.admission.channel, error
                )
                await self._clock.sleep(self._pause)
            except UTDStreamException as error:
                if not held.is_over:
                    held.over()
                    self._held.pop(held.admission, None)
                    held.admission.ended(error)
            else:
                return


class Held:
    """An admission that somebody was given, and that of the way by which it was asked for last."""

    __slots__ = ("actor", "admission", "inner", "is_over", "way")

    def __init__(self, admission: Admission, actor: Actor) -> None:
        self.admission = admission
        self.actor = actor
        self.is_over = False
        self.way: Way | None = None
        self.inner: Admission | None = None

    def over(self) -> None:
        """It counts no more."""
        self.is_over = True
        # The inner one knows this one, and would keep it until the garbage collector comes.
        inner, self.inner = self.inner, None
        if self.way is not None and inner is not None:
            self.way.dismiss(inner)
