"""The newest events of a channel that were handed out, for those who come back; each is made into a frame once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from ...store.base import Envelope
from .frames import Frame, engine_event


class Published:
    """An event, and its frame once somebody wants it."""

    __slots__ = ("_frame", "envelope")

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        self._frame: Frame | None = None

    @property
    def frame(self) -> Frame:
        if self._frame is None:
            self._frame = engine_event(self.envelope)
        return self._frame


class Recent:
    """Events up to the newest, without a hole. `keep`: how many there are at most when another one comes."""

    __slots__ = ("_events", "_keep")

    def __init__(self, keep: int) -> None:
        self._events: deque[Published] = deque()
        self._keep = keep

    def add(self, envelope: Envelope) -> Published:
        """The next event."""
        published = Published(envelope)
        self._events.append(published)
        while len(self._events) > self._keep:
            self._events.popleft()
        return published

    def extend_back(self, older: Sequence[Envelope]) -> None:
        """Events without a hole, some of them from before the oldest here. They stay until another one comes."""
        first = self._events[0].envelope.offset if self._events else None
        before = [envelope for envelope in older if first is None or envelope.offset < first]
        self._events.extendleft(Published(envelope) for envelope in reversed(before))

    def newest(self, count: int) -> list[Published] | None:
        """The newest `count` events, the oldest of them first; None where not all of them are here."""
        if count > len(self._events):
            return None
        return list(islice(self._events, len(self._events) - count, None))
