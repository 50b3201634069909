"""Signalling over another node: lines from participants here to the control half beside the holder's engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import count

from ...concurrency import BoundedQueue, Overflow, TaskScope
from ...errors import Closed
from ...media.signalling import SignallingDesk, SignallingLine
from ...model.command import Actor
from . import messages
from .way import Lost

_CAPACITY = 10_000
_MOST_AT_ONCE = 100

Send = Callable[[Sequence[messages.Word]], Awaitable[None]]
"""Has the holder hear some words, and returns when it has. Raises `Lost`."""


class FarLines:
    """Those of one way. What is said on them goes to the holder in order, with what comes meanwhile in one piece."""

    def __init__(self, scope: TaskScope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._lines: dict[int, _FarLine] = {}
        self._ids = count(1)
        self._words: BoundedQueue[messages.Word] = BoundedQueue(_CAPACITY, Overflow.DROP_NEWEST)
        self._is_sending = self._closed = False

    def desk(self, channel: str, actor: Actor) -> SignallingDesk:
        """Where the actor opens lines for the room or call of a channel. The holder refuses by ending them."""
        return _FarDesk(self, channel, actor)

    def open_line(
        self,
        channel: str,
        actor: Actor,
        deliver: Callable[[bytes], None],
        hang_up: Callable[[], None],
        lost: Callable[[], None],
    ) -> SignallingLine:
        """Raises `Closed` once the way is lost."""
        if self._closed:
            raise Closed("the way to the holder was lost")
        id = next(self._ids)
        line = self._lines[id] = _FarLine(self, id, channel, actor, deliver, hang_up, lost)
        return line

    def say(self, word: messages.Word) -> bool:
        """Have something said at the holder's; whether there was room for it."""
        if self._closed or not self._words.put(word):
            return False
        if not self._is_sending:
            self._scope.start(self._run, name="signals")
            self._is_sending = True
        return True

    def hear(self, said: messages.Signalled | messages.LineOver) -> None:
        """What the stream says of a line."""
        if isinstance(said, messages.Signalled):
            line = self._lines.get(said.line)
            if line is not None:
                line.deliver(said.message)
            return
        line = self._lines.pop(said.line, None)
        if line is not None:
            (line.lost if said.lost else line.hang_up)()

    def forget(self, id: int) -> bool:
        """A line is over; whether it was not so before."""
        return self._lines.pop(id, None) is not None

    def close(self) -> None:
        """The way is lost, and every line with it. Idempotent."""
        self._closed = True
        while self._lines:
            self._lines.popitem()[1].lost()

    async def _run(self) -> None:
        try:
            while (first := self._words.get_nowait()) is not None:
                words = [first]
                while len(words) < _MOST_AT_ONCE and (word := self._words.get_nowait()) is not None:
                    words.append(word)
                await self._send(words)
        except Lost:
            return
        finally:
            self._is_sending = False


class _FarDesk(SignallingDesk):
    def __init__(self, lines: FarLines, channel: str, actor: Actor) -> None:
        self._lines = lines
        self._channel = channel
        self._actor = actor

    def open_line(
        self, deliver: Callable[[bytes], None], hang_up: Callable[[], None], lost: Callable[[], None]
    ) -> SignallingLine:
        return self._lines.open_line(self._channel, self._actor, deliver, hang_up, lost)


class _FarLine(SignallingLine):
    def __init__(
        self,
        lines: FarLines,
        id: int,
        channel: str,
        actor: Actor,
        deliver: Callable[[bytes], None],
        hang_up: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self.deliver = deliver
        self.hang_up = hang_up
        self.lost = lost
        self._lines = lines
        self._id = id
        self._channel = channel
        self._actor = actor

    def receive(self, message: bytes) -> None:
        if not self._say(message.decode()) and self._lines.forget(self._id):
            self.lost()

    def lose(self) -> None:
        if self._lines.forget(self._id):
            self._say(None)

    def _say(self, message: str | None) -> bool:
        return self._lines.say(messages.Word(self._id, self._channel, self._actor, message))
