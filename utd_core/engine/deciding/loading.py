"""Aggregates come into memory: from the store, one load for all who wait for it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable

from ...errors import Closed, StoreFailed, UTDStreamException
from ...model.codec import load
from ...store.base import Head
from ..core import Core
from .aggregates import Aggregate

log = logging.getLogger("utd_core.engine")


class Loader:
    """`ended(aggregate, failure)` is called after each load; `prepare` makes ready what decisions look at besides the
    state, before the first of them."""

    prepare: Callable[[Aggregate], Awaitable[None]]

    def __init__(self, core: Core, ended: Callable[[Aggregate, UTDStreamException | None], None]) -> None:
        self._core = core
        self._ended = ended
        self.under_way: dict[Aggregate, asyncio.Future[None]] = {}

    def load(self, aggregate: Aggregate) -> asyncio.Future[None]:
        """Load it, if that is not under way already. The future raises `StoreFailed` or `Closed`; it belongs to all who
        wait for it, so `asyncio.wait` for it."""
        done = self.under_way.get(aggregate)
        if done is None:
            done = self.under_way[aggregate] = asyncio.get_running_loop().create_future()
            aggregate.loading = True
            try:
                self._core.scope.start(self._load, aggregate, name=f"load {aggregate.kind.name}")
            except Closed as error:
                self._end(aggregate, error)
        return done

    async def _load(self, aggregate: Aggregate) -> None:
        failure: UTDStreamException | None = Closed("the engine was closed")
        try:
            await self._read(aggregate)
            await self.prepare(aggregate)
            failure = None
        except UTDStreamException as error:
            failure = error
        except Exception as error:
            log.exception("%s could not be loaded", aggregate)
            failure = StoreFailed(f"{aggregate} could not be loaded: {error}")
        finally:
            self._end(aggregate, failure)

    async def _read(self, aggregate: Aggregate) -> None:
        kind, key = aggregate.kind, aggregate.key
        row = await self._core.store.load(kind.name, key)
        home = kind.home(key)
        if home is not None:
            aggregate.head = _begun(await self._core.store.head(home))
        aggregate.version = 0 if row is None else row.version
        aggregate.state = None if row is None else load(kind.state, row.payload)

    def _end(self, aggregate: Aggregate, failure: UTDStreamException | None) -> None:
        aggregate.loading = False
        done = self.under_way.pop(aggregate)
        if failure is None:
            aggregate.loaded = True
            done.set_result(None)
        else:
            aggregate.forget()
            done.set_exception(failure)
            done.exception()  # seen, whether anybody waits for it or not
        self._ended(aggregate, failure)


def _begun(head: Head) -> Head:
    """Where a channel is; one that begins, or begins anew after it was discarded, does so in an epoch of its own.

    Counting from 1 in an epoch that the name has had before, other events would stand at places that somebody still
    holds, and who comes back with one would be told that nothing was missed.
    """
    return head if head.offset else Head(secrets.token_hex(6), 0)
