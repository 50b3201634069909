"""Questions from node to node, and their answers, over any message bus."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from typing import Self

from ..concurrency import Clock, Closeable, SystemClock, TaskScope
from ..errors import (
    Closed,
    DeadlineExceeded,
    InvalidInput,
    NobodyListens,
    Unavailable,
    UTDStreamException,
)
from .answering import Answering, Handler, as_question, read_answer
from .audience import Listener
from .base import MessageBus

log = logging.getLogger("utd_core.bus")

PRECISION = 0.25
"""Seconds by which a wait for an answer may be longer than it should."""
AT_ONCE = 64
"""Questions that one handler works on at the same time, unless it is told otherwise."""
WAITING = 2_048
"""Questions that wait for one handler, unless it is told otherwise; one more is refused at once."""


@dataclass(slots=True, eq=False)
class _Asked:
    """What somebody waits for. `expected`: how many answers there can be, None as long as that is not known; `until`:
    monotonic seconds."""

    answers: list[bytes | UTDStreamException]
    expected: int | None
    until: float
    done: asyncio.Event

    def take(self, answer: bytes | UTDStreamException) -> None:
        self.answers.append(answer)
        self.look()

    def look(self) -> None:
        if self.expected is not None and len(self.answers) >= self.expected:
            self.done.set()


class Questions(Closeable):
    """Asks the other nodes of `bus`, and answers them; open inside `async with`. The bus stays its owner's to close.

    `clock`: what timeouts run on.
    """

    def __init__(self, bus: MessageBus, *, clock: Clock | None = None) -> None:
        self.bus = bus
        self._clock = clock or SystemClock()
        self._topic = f"answers/{secrets.token_hex(8)}"
        self._scope = TaskScope("questions")
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._ear: Listener | None = None
        self._answering: dict[str, Answering] = {}
        self._watches = False
        self._closed = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def open(self) -> None:
        """Raises `Closed` after `aclose`, and `Unavailable` where the bus is away."""
        await self._scope.open()
        if self._ear is None:
            self._ear = await self.bus.subscribe(self._topic, self._hear, interrupted=self._interrupted)

    async def aclose(self) -> None:
        """End, which cuts off what is asked (`Closed`) and what is answered at the moment. Idempotent.

        Close each `Answering` first to have it finish what it works on.
        """
        self._closed = True
        for answering in list(self._answering.values()):
            answering.stop()
        ear, self._ear = self._ear, None
        if ear is not None:
            self.bus.unsubscribe(ear)
        self._fail(Closed("the questions were closed before an answer came"))
        await self._scope.aclose()

    async def ask(self, topic: str, payload: bytes, timeout: float) -> bytes:
        """The first answer to a question, which is published once. `timeout`: seconds.

        Raises `NobodyListens` (at once) where nobody answers on that topic, so nothing was done; what the handler
        raised; `Unavailable` where the bus is away or was while the answer was waited for, and `DeadlineExceeded`
        where no answer came in time: then it is not known whether it was done. Cancelling only ends the wait.
        """
        answers = await self._ask(topic, payload, timeout, most=1)
        if not answers:
            raise DeadlineExceeded(f"{topic!r} did not answer within {timeout:g} s; whether it was done is not known")
        first = answers[0]
        if isinstance(first, UTDStreamException):
            raise first
        return first

    async def ask_all(self, topic: str, payload: bytes, timeout: float) -> list[bytes]:
        """What every node answers on that topic, in no order; nothing where nobody listens.

        Waits for all nodes that were reached; those that fail, or do not answer in time, are left out. Raises
        `Unavailable` where the bus is away.
        """
        try:
            answers = await self._ask(topic, payload, timeout, most=None)
        except NobodyListens:
            return []
        found = [answer for answer in answers if isinstance(answer, bytes)]
        for answer in answers:
            if isinstance(answer, UTDStreamException):
                log.warning("a node has no answer on %r: %s", topic, answer)
        return found

    async def answer(
        self, topic: str, handler: Handler, *, at_once: int = AT_ONCE, waiting: int = WAITING
    ) -> Answering:
        """Answer questions on a topic until the result is closed. One handler per topic and node.

        `at_once`: how many it works on at the same time, in the order in which they came; `waiting`: how many more may
        wait for it. Those beyond are refused at once (`Unavailable`), and those that nobody waits for any more are left
        out. Raises `Closed`, `Unavailable` where the bus is away, and `InvalidInput` for a topic that has one already.
        """
        self._check_open()
        if topic in self._answering:
            raise InvalidInput(f"{topic!r} is answered on this node already; close that first")
        answering = Answering(self.bus, self._clock, self._scope, topic, handler, at_once, waiting, self._ended)
        self._answering[topic] = answering
        try:
            await answering.open()
        except BaseException:
            answering.stop()
            raise
        if self._closed:
            answering.stop()
            raise Closed("the questions were closed")
        return answering

    async def _ask(
        self, topic: str, payload: bytes, timeout: float, most: int | None
    ) -> list[bytes | UTDStreamException]:
        self._check_open()
        self._number += 1
        number = self._number
        asked = self._asked[number] = _Asked([], None, self._clock.monotonic() + timeout, asyncio.Event())
        try:
            reached = await self.bus.publish(topic, as_question(self._topic, number, timeout, payload))
            if not reached:
                raise NobodyListens(f"nobody answers on {topic!r} at the moment; nothing was done")
            asked.expected = reached if most is None else most
            asked.look()
            if not self._watches:
                self._watches = True
                self._scope.start(self._watch)
            await asked.done.wait()
            return asked.answers
        finally:
            del self._asked[number]

    async def _watch(self) -> None:
        """End the waits whose time is over, with one timer for all: an answer mostly comes long before."""
        try:
            while self._asked:
                now, pause = self._clock.monotonic(), PRECISION
                for asked in self._asked.values():
                    if asked.done.is_set():
                        continue
                    if asked.until <= now:
                        asked.done.set()
                    else:
                        pause = min(pause, asked.until - now)
                await self._clock.sleep(pause)
        finally:
            self._watches = False

    async def _hear(self, message: bytes) -> None:
        try:
            number, answer = read_answer(message)
        except ValueError:
            log.warning("what was said on %r is no answer, and is left out", self._topic)
            return
        # Whoever asked may have given up, or have had an answer from another node.
        asked = self._asked.get(number)
        if asked is not None:
            asked.take(answer)

    async def _interrupted(self) -> None:
        self._fail(Unavailable("the way to the other nodes was lost before an answer came; it may have been done"))

    def _fail(self, error: UTDStreamException) -> None:
        for asked in self._asked.values():
            asked.answers.insert(0, error)
            asked.done.set()

    def _ended(self, answering: Answering) -> None:
        if self._answering.get(answering.topic) is answering:
            del self._answering[answering.topic]

    def _check_open(self) -> None:
        if self._closed or self._ear is None:
            raise Closed(f"the questions are {'closed' if self._closed else 'not open'}")
