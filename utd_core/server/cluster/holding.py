"""The holder's side: the engine of a project as other nodes see it."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from ...bus import MessageBus
from ...concurrency import BoundedQueue, Clock, Overflow, TaskScope
from ...engine import Engine
from ...engine.subscriptions import Admission
from ...errors import Closed, Deposed, RateLimited, StoreFailed, Unavailable, UTDStreamException
from ...media.signalling import SignallingLine
from ...model.command import Actor
from ...model.wire import channel_of
from ...store.base import Envelope
from . import messages
from .settings import ClusterSettings

log = logging.getLogger("utd_core.server")

Gate = Callable[[Actor], None]

_MOST_STREAMS = 1_000
_MOST_LINES = 500
"""Of one message of a stream."""


class Holding:
    """Answers other nodes about one engine, and streams to each of them the events that it follows; from `open()`
    until `aclose()`, which tells all of them that it is over.

    `gate` is asked before a command is done, with its actor: it raises what refuses it.

    A stream ends when its node is silent, or too slow, or cannot be reached. Its node finds that out, and begins anew.
    """

    def __init__(
        self,
        tenancy: messages.Tenancy,
        engine: Engine,
        *,
        bus: MessageBus,
        clock: Clock,
        settings: ClusterSettings,
        gate: Gate,
    ) -> None:
        self.tenancy = tenancy
        self._engine = engine
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._gate = gate
        self._scope = TaskScope(f"streams of {tenancy.app_id}")
        self._streams: dict[str, Stream] = {}
        self._followers: defaultdict[str, dict[Stream, None]] = defaultdict(dict)

    async def open(self) -> None:
        """Raises `Closed` where the engine is not open."""
        await self._scope.open()
        self._engine.listen(self._hear)
        self._scope.start(self._forget_silent, name="silence")

    async def aclose(self) -> None:
        """Idempotent."""
        streams = list(self._streams.values())
        await self._scope.aclose()
        for stream in streams:
            self._end(stream)
            try:
                await self._bus.publish(stream.topic, messages.last_message(stream.name))
            except UTDStreamException as error:
                log.info("a node was not told that project %s is held no more: %s", self.tenancy.app_id, error)

    @property
    def is_followed(self) -> bool:
        """Whether another node has a stream, as every one has that asks anything."""
        return bool(self._streams)

    async def answer(self, question: messages.Question) -> messages.Answer:
        """What another node is told. Raises nothing but what ends a task."""
        try:
            if isinstance(question, messages.Execute):
                return await self._execute(question)
            if isinstance(question, messages.Open):
                return self._begin(question)
            stream = self._streams.get(question.stream)
            if stream is None:
                return messages.Gone()
            stream.heard_at = self._clock.monotonic()
            if isinstance(question, messages.Follow):
                return self._follow(stream, question)
            if isinstance(question, messages.Signal):
                return await self._signal(stream, question)
            if isinstance(question, messages.Admit):
                return messages.Admitted(
                    tuple(await asyncio.gather(*(self._admit(stream, w) for w in question.wishes)))
                )
            return self._beat(stream, question)
        except (Closed, Deposed):
            return messages.Gone()
        except UTDStreamException as error:
            return messages.Refused(messages.refusal_of(error))
        except Exception:
            log.exception("what another node asked of project %s failed", self.tenancy.app_id)
            return messages.Refused(messages.failure())

    async def _execute(self, question: messages.Execute) -> messages.Answer:
        command = messages.command_of(question)
        if not question.again:
            # What may be done already must not be refused: it would look as if it were not.
            self._gate(question.actor)
        result = await self._engine.execute(command, actor=question.actor, idempotency_key=question.key)
        channel = channel_of(command)
        return messages.done(command, result, None if channel is None else self._engine.head(channel))

    def _begin(self, question: messages.Open) -> messages.Answer:
        if len(self._streams) >= _MOST_STREAMS:
            raise RateLimited(f"{len(self._streams)} streams are open, as many as there may be")
        stream = Stream(question.stream, question.topic, self._settings.stream_capacity, self._clock.monotonic())
        self._scope.start(self._send, stream, name="stream")
        self._streams[stream.name] = stream
        return messages.Heard(stream.number)

    def _follow(self, stream: Stream, question: messages.Follow) -> messages.Answer:
        for channel in question.channels:
            stream.channels.add(channel)
            self._followers[channel][stream] = None
        return messages.Heard(stream.number)

    async def _admit(self, stream: Stream, wish: messages.Wish) -> messages.Refusal | None:
        # Both before and after the engine has answered, the end may come.
        ended = partial(self._admission_ended, stream, wish.id)
        stream.admitting.add(wish.id)
        try:
            admission = await self._engine.admit(wish.channel, ended, actor=wish.actor)
        except (Closed, Deposed):
            raise
        except UTDStreamException as error:
            return messages.refusal_of(error)
        finally:
            over = wish.id not in stream.admitting
            stream.admitting.discard(wish.id)
        if stream.is_over or over:
            self._engine.dismiss(admission)
        else:
            stream.admissions[wish.id] = admission
        return None

    async def _signal(self, stream: Stream, question: messages.Signal) -> messages.Answer:
        for word in question.words:
            line = stream.signals.get(word.line)
            if word.message is None:
                if line is not None:
                    del stream.signals[word.line]
                    line.lose()
                continue
            if line is None:
                line = await self._open_line(stream, word)
            if line is not None:
                line.receive(word.message.encode())
        return messages.Heard(stream.number)

    async def _open_line(self, stream: Stream, word: messages.Word) -> SignallingLine | None:
        """A line of signalling, None where there is none to be had, which the stream tells."""
        try:
            desk = await self._engine.signalling(word.channel, actor=word.actor)
        except (Closed, Deposed):
            raise
        except UTDStreamException as error:
            lost = isinstance(error, StoreFailed | Unavailable | RateLimited)
            stream.lines.put(messages.line_over_line(word.line, lost=lost))
            return None
        if stream.is_over:
            return None

        def over(*, lost: bool) -> None:
            if stream.signals.pop(word.line, None) is not None:
                stream.lines.put(messages.line_over_line(word.line, lost=lost))

        line = desk.open_line(
            lambda message: _put(stream, messages.signalled_line(word.line, message)),
            lambda: over(lost=False),
            lambda: over(lost=True),
        )
        stream.signals[word.line] = line
        return line

    def _admission_ended(self, stream: Stream, id: int, error: Exception | None) -> None:
        stream.admitting.discard(id)
        stream.admissions.pop(id, None)
        stream.lines.put(messages.ended_line(id, error))

    def _beat(self, stream: Stream, question: messages.Beat) -> messages.Answer:
        for channel in question.unfollowed:
            stream.channels.discard(channel)
            self._unfollow(stream, channel)
        for id in question.dismissed:
            stream.admitting.discard(id)
            admission = stream.admissions.pop(id, None)
            if admission is not None:
                self._engine.dismiss(admission)
        return messages.Heard(stream.number)

    def _hear(self, envelopes: Sequence[Envelope]) -> None:
        """What the engine has committed, for those who follow."""
        for envelope in envelopes:
            followers = self._followers.get(envelope.channel)
            if followers:
                line = messages.event_line(envelope)
                for stream in followers:
                    stream.lines.put(line)

    async def _send(self, stream: Stream) -> None:
        """Send a stream's lines, many at a time, until one cannot be sent."""
        try:
            async for first in stream.lines:
                lines = [first]
                while len(lines) < _MOST_LINES and (line := stream.lines.get_nowait()) is not None:
                    lines.append(line)
                await self._bus.publish(stream.topic, messages.stream_message(stream.name, stream.number + 1, lines))
                stream.number += 1
        except UTDStreamException as error:
            log.info("a stream of project %s ends: %s", self.tenancy.app_id, error)
        finally:
            self._end(stream)

    async def _forget_silent(self) -> None:
        """End the streams of nodes that are gone."""
        while True:
            await self._clock.sleep(self._settings.silence)
            latest = self._clock.monotonic() - 2 * self._settings.silence
            for stream in [stream for stream in self._streams.values() if stream.heard_at < latest]:
                self._end(stream)

    def _end(self, stream: Stream) -> None:
        """Idempotent."""
        stream.is_over = True
        stream.lines.close()
        if self._streams.get(stream.name) is stream:
            del self._streams[stream.name]
        for channel in stream.channels:
            self._unfollow(stream, channel)
        admissions, stream.admissions = stream.admissions, {}
        for admission in admissions.values():
            self._engine.dismiss(admission)
        while stream.signals:
            stream.signals.popitem()[1].lose()

    def _unfollow(self, stream: Stream, channel: str) -> None:
        followers = self._followers.get(channel)
        if followers is not None:
            followers.pop(stream, None)
            if not followers:
                del self._followers[channel]


def _put(stream: Stream, line: str) -> None:
    stream.lines.put(line)


class Stream:
    """What one node hears of an engine. `number`: of the newest message that was sent; `heard_at`: when the node was
    heard last, in monotonic seconds; `admitting`: those about whom the engine is being asked; `signals`: lines of
    signalling, by what that node calls them."""

    __slots__ = (
        "admissions",
        "admitting",
        "channels",
        "heard_at",
        "is_over",
        "lines",
        "name",
        "number",
        "signals",
        "topic",
    )

    def __init__(self, name: str, topic: str, capacity: int, now: float) -> None:
        self.name = name
        self.topic = topic
        self.number = 0
        self.heard_at = now
        self.is_over = False
        self.lines: BoundedQueue[str] = BoundedQueue(capacity, Overflow.CLOSE)
        self.channels: set[str] = set()
        self.admitting: set[int] = set()
        self.admissions: dict[int, Admission] = {}
        self.signals: dict[int, SignallingLine] = {}
