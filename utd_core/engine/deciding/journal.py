"""Events get their place: channel, epoch and offset, in the order they were decided in."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from ...model.channels import heard_by_all
from ...store.base import Envelope, Head, Store
from .aggregates import Batch

_LAST_MILLISECOND = 0xFFF_FFFF_FFFF


def new_call_id(now: float) -> str:
    """An id that nobody can guess; ids of later calls sort before those of earlier ones."""
    return f"{_LAST_MILLISECOND - int(now * 1000):011x}{secrets.token_hex(8)}"


class Journal:
    """Knows the newest place of the channels that were published on of late.

    An aggregate's home channel has its place in the aggregate, as nobody else publishes there; a person's channel
    is shared by rooms and calls. `limit` bounds how many of those are remembered.
    """

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._heads: OrderedDict[str, Head] = OrderedDict()

    async def head(self, channel: str) -> Head:
        """The newest place in a channel. Raises `StoreFailed`."""
        return await self._store.head(channel)

    async def prepare(self, batches: Sequence[Batch]) -> None:
        """Learn the places of every channel that the batches publish on, before `stamp`. Raises `StoreFailed`."""
        for batch in batches:
            home = batch.aggregate.kind.home(batch.aggregate.key)
            for _, channels in batch.events:
                for channel in channels:
                    if channel != home and channel not in self._heads:
                        self._heads[channel] = await self._store.head(channel)

    def stamp(self, batches: Sequence[Batch]) -> list[Envelope]:
        """Every event at its place. Until `keep` is called the places are only meant."""
        envelopes: list[Envelope] = []
        for batch in batches:
            aggregate = batch.aggregate
            kind, key, at = aggregate.kind.name, aggregate.key, batch.at
            home = aggregate.kind.home(key)
            epoch, offset = aggregate.head.epoch, aggregate.head.offset
            for event, channels in batch.events:
                for channel in channels:
                    if channel == home:
                        offset += 1
                        envelopes.append(Envelope(channel, epoch, offset, kind, key, at, heard_by_all(event)))
                    else:
                        before = self._heads[channel]
                        head = self._heads[channel] = Head(before.epoch, before.offset + 1)
                        envelopes.append(Envelope(channel, head.epoch, head.offset, kind, key, at, event))
        return envelopes

    def keep(self, batches: Sequence[Batch]) -> None:
        """The transaction holds: the places are taken."""
        for batch in batches:
            aggregate = batch.aggregate
            if batch.events and aggregate.kind.home(aggregate.key) is not None:
                aggregate.head = Head(aggregate.head.epoch, batch.head_offset)
        while len(self._heads) > self._limit:
            self._heads.popitem(last=False)

    def forget(self, batches: Iterable[Batch]) -> None:
        """The transaction failed: look the places up again."""
        for batch in batches:
            for _, channels in batch.events:
                for channel in channels:
                    self._heads.pop(channel, None)
