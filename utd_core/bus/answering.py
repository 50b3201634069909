"""Answering questions of other nodes: so many at once, so many that wait, and never one in silence.

A question is a message on a topic: the topic on which its asker waits, its number, how many seconds it is worth
answering, and the payload. An answer is a message on the asker's topic: the number, whether it is an error, and the
payload.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from ..concurrency import BoundedQueue, Clock, Closeable, Overflow, TaskScope
from ..errors import Closed, Unavailable, UTDStreamException, exception_of
from .audience import Listener
from .base import MessageBus

log = logging.getLogger("utd_core.bus")

Handler = Callable[[bytes], Awaitable[bytes]]
"""Takes the payload of a question and gives that of the answer; a `UTDStreamException` goes to the asker as it is."""

_ANSWER, _ERROR = b"+", b"-"


@dataclass(frozen=True, slots=True)
class _Question:
    """`until`: when nobody waits for the answer any more, in monotonic seconds of this node."""

    asker: str
    number: str
    until: float
    payload: bytes


class Answering(Closeable):
    """One handler, answering on one topic of one node. Made by `Questions.answer`."""

    def __init__(
        self,
        bus: MessageBus,
        clock: Clock,
        scope: TaskScope,
        topic: str,
        handler: Handler,
        at_once: int,
        waiting: int,
        ended: Callable[[Answering], None],
    ) -> None:
        self.topic = topic
        self._bus = bus
        self._clock = clock
        self._scope = scope
        self._handler = handler
        self._at_once = at_once
        self._ended = ended
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._waiting: BoundedQueue[_Question] = BoundedQueue(waiting, Overflow.DROP_NEWEST)
        self._listener: Listener | None = None

    async def open(self) -> None:
        """Listen. Raises `Closed`, and `Unavailable` where the bus is away."""
        self._listener = await self._bus.subscribe(self.topic, self._hear)

    def stop(self) -> None:
        """Take no more questions. Idempotent."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._bus.unsubscribe(listener)
        self._ended(self)

    async def aclose(self) -> None:
        """Take no more questions, refuse those that wait, and finish those that are worked on. Idempotent."""
        self.stop()
        while (question := self._waiting.get_nowait()) is not None:
            await self._refuse(question, "does not answer any more")
        await self._idle.wait()

    async def _hear(self, message: bytes) -> None:
        try:
            asker, number, seconds, payload = message.split(b"\n", 3)
            until = self._clock.monotonic() + float(seconds)
            question = _Question(asker.decode(), number.decode(), until, payload)
        except ValueError:
            log.warning("what was said on %r is no question, and is left out", self.topic)
            return
        if self._working < self._at_once:
            self._scope.start(self._work, question, name=self.topic)
            self._working += 1
            self._idle.clear()
        elif not self._waiting.put(question):
            await self._refuse(question, f"has {len(self._waiting)} questions waiting already")

    async def _work(self, first: _Question) -> None:
        """Answer a question, and then others that wait."""
        question: _Question | None = first
        try:
            while question is not None:
                if self._clock.monotonic() < question.until:
                    await self._answer(question)
                question = self._waiting.get_nowait()
        except asyncio.CancelledError:
            if question is not None:
                with anyio.CancelScope(shield=True):
                    await self._refuse(question, "ends while it works on this; it may have been done")
            raise
        finally:
            self._working -= 1
            if not self._working:
                self._idle.set()

    async def _answer(self, question: _Question) -> None:
        try:
            answer = _ANSWER + b"\n" + await self._handler(question.payload)
        except UTDStreamException as error:
            answer = _write_error(error)
        except Exception:
            log.exception("a question on %r cannot be answered", self.topic)
            answer = _write_error(UTDStreamException(f"{self.topic!r} failed at this; the log of its node has why"))
        await self._reply(question, answer)

    async def _refuse(self, question: _Question, why: str) -> None:
        error = Unavailable(f"{self.topic!r} {why}; try again in a moment")
        await self._reply(question, _write_error(error))

    async def _reply(self, question: _Question, answer: bytes) -> None:
        try:
            await self._bus.publish(question.asker, f"{question.number}\n".encode() + answer)
        except (Closed, Unavailable) as error:
            log.warning("an answer of %r is lost: %s", self.topic, error)


def as_question(asker: str, number: int, timeout: float, payload: bytes) -> bytes:
    """A question as it travels."""
    return f"{asker}\n{number}\n{timeout}\n".encode() + payload


def read_answer(message: bytes) -> tuple[int, bytes | UTDStreamException]:
    """The number of a question, and its answer. Raises `ValueError` for what is none."""
    number, kind, payload = message.split(b"\n", 2)
    return int(number), _read_error(payload) if kind == _ERROR else payload


def _write_error(error: UTDStreamException) -> bytes:
    told = {"message": error.message, "status": error.status_code, "code": error.code, "details": dict(error.details)}
    return _ERROR + b"\n" + json.dumps(told, default=str).encode()


def _read_error(payload: bytes) -> UTDStreamException:
    told = json.loads(payload)
    try:
        return exception_of(told["status"], told["code"], told["message"], told["details"])
    except (KeyError, TypeError):
        raise ValueError("no error") from None
