"""The newest events of channels, held in memory for those who come back soon."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence

from ..store.base import Envelope, Head

PER_CHANNEL = 512
IN_ALL = 100_000


class Rings:
    """At most `per_channel` events of a channel, `in_all` together; the channel that was quiet longest goes first."""

    def __init__(self, per_channel: int = PER_CHANNEL, in_all: int = IN_ALL) -> None:
        self._per_channel = per_channel
        self._in_all = in_all
        self._rings: OrderedDict[str, deque[Envelope]] = OrderedDict()
        self._count = 0

    def add(self, envelope: Envelope) -> None:
        ring = self._rings.get(envelope.channel)
        if ring is None:
            ring = self._rings[envelope.channel] = deque()
        else:
            self._rings.move_to_end(envelope.channel)
            if ring[-1].epoch != envelope.epoch or ring[-1].offset + 1 != envelope.offset:
                # Never a hole inside a ring: what it holds is all there was.
                self._count -= len(ring)
                ring.clear()
        ring.append(envelope)
        self._count += 1
        if len(ring) > self._per_channel:
            ring.popleft()
            self._count -= 1
        while self._count > self._in_all:
            _, oldest = self._rings.popitem(last=False)
            self._count -= len(oldest)

    def head(self, channel: str) -> Head | None:
        """Where the channel is, as far as this memory knows."""
        ring = self._rings.get(channel)
        return Head(ring[-1].epoch, ring[-1].offset) if ring else None

    def after(self, channel: str, epoch: str, offset: int) -> Sequence[Envelope] | None:
        """Every event after an offset, None when they are not all held."""
        ring = self._rings.get(channel)
        if not ring or ring[0].epoch != epoch or not ring[0].offset - 1 <= offset <= ring[-1].offset:
            return None
        first = offset + 1 - ring[0].offset
        return [ring[index] for index in range(first, len(ring))]

    def clear(self) -> None:
        self._rings.clear()
        self._count = 0
