"""What was asked of the control half and is not answered yet."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from utd_core.errors import UTDStreamException

from .protocol import Mute, Publish


@dataclass(frozen=True, slots=True)
class _Open:
    message: Publish | Mute
    done: Callable[[], None]
    answer: asyncio.Future[None]


class Requests:
    """Requests may be asked again: the control half takes the same one twice without harm."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._open: dict[int, _Open] = {}

    def next_number(self) -> int:
        """The number of a new request."""
        return next(self._numbers)

    def ask(self, message: Publish | Mute, done: Callable[[], None]) -> asyncio.Future[None]:
        """The answer to come. `done()` is called when it is heard, before anything that is heard later."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open[message.request] = _Open(message, done, answer)
        return answer

    def forget(self, number: int) -> None:
        """Nobody waits for it any more. Idempotent."""
        self._open.pop(number, None)

    def done(self, number: int) -> None:
        """It was carried out."""
        asked = self._open.pop(number, None)
        if asked is not None and not asked.answer.done():
            asked.done()
            asked.answer.set_result(None)

    def denied(self, number: int, error: UTDStreamException) -> None:
        """It was refused."""
        asked = self._open.pop(number, None)
        if asked is not None and not asked.answer.done():
            asked.answer.set_exception(error)

    def open(self) -> list[Publish | Mute]:
        """What is still to be answered, oldest first."""
        return [asked.message for asked in self._open.values()]

    def concerns(self, track_id: str) -> bool:
        """The publishing of this track is not answered yet."""
        return any(
            isinstance(asked.message, Publish) and asked.message.track.id == track_id for asked in self._open.values()
        )

    def close(self, error: UTDStreamException) -> None:
        """There will be no answers."""
        asked, self._open = list(self._open.values()), {}
        for one in asked:
            if not one.answer.done():
                one.answer.set_exception(error)
