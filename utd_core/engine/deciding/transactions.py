"""From decisions to one transaction: rows, events at their places, and answers; all of it holds, or is forgotten."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from ...errors import Conflict, StoreFailed, UTDStreamException
from ...model.codec import dump
from ...store.base import Commit, Envelope, StoredState
from ..core import Core
from ..identity.generations import Generations
from .aggregates import Batch
from .journal import Journal
from .lines import Lines
from .outgoing import outgoing

log = logging.getLogger("utd_core.engine")


class Transactions:
    """Writes batches. `commits` and `events` count what holds. `refused_since`: when the first of the transactions was
    tried that the store refused since it took one, in monotonic seconds; None where it took the last one."""

    def __init__(self, core: Core, lines: Lines) -> None:
        self.commits = 0
        self.events = 0
        self.refused_since: float | None = None
        self._core = core
        self._lines = lines
        self._journal = Journal(core.store, core.settings.resident_limit)
        self._generations = Generations(core)

    async def write(self, batches: Sequence[Batch]) -> list[Envelope]:
        """Make the batches durable, all in one; their events at their places.

        Raises `StoreFailed`, or `Conflict` when somebody else wrote the same rows. Then nothing was changed, what was
        decided is forgotten, and the aggregates must be loaded anew.
        """
        try:
            await self._journal.prepare(batches)
            await self._generations.prepare(batches)
            envelopes = self._journal.stamp(batches)
            commit = self._commit(batches, envelopes)
            with self._shown(batches):
                await self._core.store.commit(commit)
        except UTDStreamException as error:
            if isinstance(error, StoreFailed):
                self._refused()
            self.forget(batches, reload=isinstance(error, Conflict))
            raise
        except Exception as error:
            log.exception("the store failed in a way of its own")
            self._refused()
            self.forget(batches)
            raise StoreFailed(f"the store failed, nothing was changed: {error}") from error
        self.refused_since = None
        self._journal.keep(batches)
        self._lines.keep()
        for batch in batches:
            batch.aggregate.version += bool(batch.events)
            batch.aggregate.in_flight = False
        if self._core.outlets is not None and commit.outbox:
            self._core.outlets.filled(list({parcel.endpoint for parcel in commit.outbox}))
        self.commits += 1
        self.events += sum(len(batch.events) for batch in batches)
        return envelopes

    def forget(self, batches: Sequence[Batch], *, reload: bool = False) -> None:
        """Take back what was decided. `reload`: what is known of the people's lines is out of date as well."""
        self._journal.forget(batches)
        for batch in reversed(batches):
            batch.roll_back()
            batch.aggregate.forget()
        self._lines.roll_back(reload=reload)

    def _refused(self) -> None:
        if self.refused_since is None:
            self.refused_since = self._core.clock.monotonic()

    def _shown(self, batches: Sequence[Batch]) -> AbstractContextManager[None]:
        """Around the commit: what an instrument sees of it."""
        if self._core.instrument is None:
            return nullcontext()
        jobs = (job for batch in batches for job, _ in batch.done)
        return self._core.instrument.commit([job.origin for job in jobs if job.origin is not None])

    def _commit(self, batches: Sequence[Batch], envelopes: list[Envelope]) -> Commit:
        commit = Commit(events=envelopes, states=[*self._lines.rows(), *self._generations.rows()])
        if self._core.outlets is not None:
            commit.outbox = outgoing(batches, self._core.outlets, self._core.app_id)
        for batch in batches:
            aggregate = batch.aggregate
            kind, state, version = aggregate.kind, aggregate.state, aggregate.version
            if batch.events:
                row = StoredState(
                    kind.name, aggregate.key, version + 1, dump(state), kind.deadline(state), kind.ended_at(state)
                )
                commit.states.append((row, version))
            commit.answers += batch.answers
        return commit
