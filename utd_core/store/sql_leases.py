"""The `Leases` of an SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..concurrency import Clock
from .leases import Lease

if TYPE_CHECKING:
    from .sql_store import Driver


class SqlLeases:
    """See `Leases`. `clock` is asked where the database has no clock of its own."""

    def __init__(self, driver: Driver, clock: Clock) -> None:
        # Loads SQLAlchemy, as opening the store has done.
        from . import lease_queries

        self._driver = driver
        self._clock = clock
        self._queries = lease_queries

    async def claim(self, project: str, holder: str, ttl: float) -> Lease:
        lease = await self.claim_last(project, holder, ttl, courtesy=0.0)
        assert lease is not None
        return lease

    async def claim_last(self, project: str, holder: str, ttl: float, *, courtesy: float) -> Lease | None:
        present = await self.holder_of(project)
        if present is not None and present.holder != holder:
            # Asked for often, and mostly somebody else's: that need not wait for the disk, nor for a lock.
            return present
        claim = partial(
            self._queries.claim, project=project, holder=holder, ttl=ttl, courtesy=courtesy, now=self._clock.now()
        )
        return await self._driver.write(claim)

    async def renew(self, holder: str, ttl: float) -> Sequence[Lease]:
        renewal = partial(self._queries.renew, holder=holder, ttl=ttl, now=self._clock.now())
        return await self._driver.write(renewal, urgent=True)

    async def release(self, leases: Sequence[Lease]) -> None:
        await self._driver.write(partial(self._queries.release, leases=leases, now=self._clock.now()), urgent=True)

    async def holder_of(self, project: str) -> Lease | None:
        return await self._driver.read(partial(self._queries.holder_of, project=project, now=self._clock.now()))

    async def held_by(self, holder: str) -> Sequence[Lease]:
        return await self._driver.read(partial(self._queries.held_by, holder=holder))

    async def want(self, lease: Lease, seconds: float) -> None:
        await self._driver.write(partial(self._queries.want, lease=lease, seconds=seconds, now=self._clock.now()))

    async def wanted_of(self, holder: str) -> Sequence[Lease]:
        return await self._driver.read(partial(self._queries.wanted_of, holder=holder, now=self._clock.now()))

    async def others_hold(self, holder: str) -> bool:
        return await self._driver.read(partial(self._queries.others_hold, holder=holder, now=self._clock.now()))
