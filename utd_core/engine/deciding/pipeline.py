"""How commands become decisions and decisions become durable.

- Commands on one aggregate wait in its queue and are decided one after the other; all that wait are decided together.
- Decisions are made by one task, and take no time: between looking at who is engaged and engaging somebody there is
  no wait, so two calls to one callee cannot both win.
- What was decided on several aggregates while a transaction was under way goes into the next one together: the more
  callers wait, the fewer transactions each of them costs.
- A command is answered after its transaction. If that fails, what was decided is forgotten, in memory too. If it failed
  because somebody else wrote the same rows, the commands are decided anew on what is there now.
- A query is answered from what is committed, at once if nothing is under way.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import Any, Protocol

from ...concurrency.alarm import TICK
from ...errors import Closed, Conflict, Deposed, ErrorCode, RateLimited, StoreFailed, UTDStreamException
from ...model.command import THE_SYSTEM, Actor, Command
from ...model.commands import Internal, StartCall
from ...store.base import Envelope
from ..core import Core
from ..kinds import Kind
from .aggregates import Aggregate, Batch, Job, Keyed, Residents
from .decider import Broken, Decider
from .idempotency import Idempotency, kept
from .lines import Lines
from .loading import Loader
from .transactions import Transactions

log = logging.getLogger("utd_core.engine")

_MOST_ATTEMPTS = 5
_MOST_JOBS = 1_000
"""Commands in one transaction, more or less: deciding them keeps the event loop from everything else."""


class Surroundings(Protocol):
    """What an engine does around its decisions."""

    async def prepare(self, aggregate: Aggregate) -> None:
        """The state was loaded; nothing has been decided on it yet. Raises `StoreFailed`."""
        ...

    def committed(self, batches: Iterable[Batch]) -> None:
        """What follows from decisions that hold."""
        ...

    def undone(self, batches: Iterable[Batch]) -> None:
        """Decisions were taken back; somebody may have acted on what they said."""
        ...


class _StartOver(Exception):
    """What was decided in this cycle is worthless; `left` are the jobs that `batch` had not come to."""

    def __init__(self, batch: Batch, left: list[Job]) -> None:
        super().__init__()
        self.batch = batch
        self.left = left


class Pipeline:
    """Runs in one task, from the first command to `stop`."""

    def __init__(self, core: Core, lines: Lines, idempotency: Idempotency) -> None:
        settings = core.settings
        self.residents = Residents(settings.resident_limit, settings.queue_capacity)
        self.results: Counter[tuple[str, str]] = Counter()
        self._core = core
        self._idempotency = idempotency
        self._transactions = Transactions(core, lines)
        self._decider = Decider(core, lines)
        self._loader = Loader(core, self._loaded)
        self._surroundings: Surroundings
        self._ready: dict[Aggregate, None] = {}
        self._under_way: list[Batch] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._stopped = asyncio.Event()
        self._stopped.set()
        self._alone = False
        self._refusal: Callable[[], UTDStreamException] = _closed

    def submit(
        self, kind: Kind, key: str, command: Command, actor: Actor, keyed: Keyed | None = None
    ) -> asyncio.Future[Any]:
        """Have a command decided; the answer, or the error. Raises `RateLimited`, or what `stop` was given."""
        if self._stopping:
            raise self._refusal()
        aggregate = self.residents.get(kind, key)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        query = command.spec.query
        job = Job(command, actor, future, keyed, query)
        if self._core.instrument is not None:
            job.origin = self._core.instrument.origin()
        if type(command) is StartCall:
            aggregate.parties = (actor.identity, command.callee)
        if query and aggregate.is_settled:
            self._answer(Batch(aggregate, self._core.clock.now()), job)
        elif aggregate.waiting.put(job):
            self._want(aggregate)
        else:
            error = _too_many(aggregate)
            self._count(job, error.code)
            raise error
        return future

    def tell(self, kind: Kind, key: str, news: Internal) -> None:
        """Have the model decide what follows from something that happened."""
        if not self._stopping:
            self.bring(kind, key, news).add_done_callback(_log_failure)

    def bring(self, kind: Kind, key: str, news: Internal) -> asyncio.Future[Any]:
        """The same, for somebody who waits until it is decided. Raises `Closed`."""
        if self._stopping:
            raise _closed()
        aggregate = self.residents.get(kind, key)
        job = aggregate.news.get(news)
        if job is None:
            job = aggregate.news[news] = Job(news, THE_SYSTEM, asyncio.get_running_loop().create_future())
            self._want(aggregate)
        return job.future

    def outdate(self, kind: Kind, key: str, version: int) -> None:
        """The store has this version: whatever is in memory of an earlier one is loaded again before it is used."""
        aggregate = self.residents.peek(kind, key)
        if aggregate is not None and aggregate.is_settled and aggregate.version < version:
            aggregate.forget()

    def peek(self, kind: Kind, key: str) -> Any:
        aggregate = self.residents.peek(kind, key)
        return None if aggregate is None else aggregate.state

    async def state(self, kind: Kind, key: str) -> Any:
        return (await self.aggregate(kind, key)).state

    async def aggregate(self, kind: Kind, key: str) -> Aggregate:
        """The aggregate, loaded. Raises `StoreFailed` or `Closed`."""
        aggregate = self.residents.get(kind, key)
        # It may be forgotten again before it is this caller's turn: a state that is None must mean that there is none.
        while not aggregate.loaded:
            done = self._loader.load(aggregate)
            await asyncio.wait([done])
            done.result()
        return aggregate

    @property
    def commits(self) -> int:
        """Transactions made."""
        return self._transactions.commits

    @property
    def events(self) -> int:
        """Events in them."""
        return self._transactions.events

    @property
    def refused_for(self) -> float:
        """Seconds since the store refused the first transaction, without having taken one; 0 where it took the last."""
        since = self._transactions.refused_since
        return 0.0 if since is None else max(self._core.clock.monotonic() - since, TICK)

    @property
    def waiting(self) -> int:
        """Commands that are not decided yet."""
        return sum(len(aggregate.waiting) for aggregate in (*self._ready, *self._loader.under_way))

    def attach(self, surroundings: Surroundings) -> None:
        """What happens around decisions; before anything is submitted."""
        self._surroundings = surroundings
        self._loader.prepare = surroundings.prepare

    async def run(self) -> None:
        """Decide and commit, until `stop`."""
        self._stopped.clear()
        try:
            while not self._stopping:
                if not self._ready:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                try:
                    await self._cycle()
                except Exception as error:
                    log.exception("the pipeline failed; what was under way is taken back")
                    self._transactions.forget(self._under_way)
                    self._take_back(self._under_way, StoreFailed(f"the engine failed, nothing was changed: {error}"))
        finally:
            self._stopped.set()

    def stop(self, refusal: Callable[[], UTDStreamException] | None = None) -> None:
        """Decide nothing any more; whoever waits gets `refusal`, or `Closed`. A transaction that is under way goes on.

        Idempotent: the first refusal stays.
        """
        if not self._stopping and refusal is not None:
            self._refusal = refusal
        self._stopping = True
        self._wake.set()
        self._fail_all_waiting()

    async def stopped(self) -> None:
        """Return when the last transaction has ended."""
        await self._stopped.wait()

    def lose_patience(self) -> None:
        """Wait no longer for the transaction that is under way."""
        self._stopped.set()

    def abandon(self) -> None:
        """Nothing runs any more: whoever still waits hears nothing else."""
        for batch in self._under_way:
            for job in batch.jobs:
                job.fail(_closed())
        self._under_way = []
        self._fail_all_waiting()

    def _fail_all_waiting(self) -> None:
        for aggregate in self.residents:
            for job in list(aggregate.take(len(aggregate.waiting))):
                job.fail(_closed() if isinstance(job.command, Internal) else self._refusal())

    def _want(self, aggregate: Aggregate) -> None:
        """The aggregate has work; it gets a turn once it is loaded."""
        if aggregate.loaded:
            self._ready[aggregate] = None
            self._wake.set()
        else:
            self._loader.load(aggregate)

    def _loaded(self, aggregate: Aggregate, failure: UTDStreamException | None) -> None:
        """A load has ended; with `failure` where it did not succeed."""
        if failure is not None:
            for job in list(aggregate.take(len(aggregate.waiting))):
                self._refuse(job, copy(failure))
        elif aggregate.has_work:
            self._want(aggregate)

    async def _cycle(self) -> None:
        """Decide what waits, as much as one transaction may hold, and commit it."""
        batches: list[Batch] = []
        self._under_way = batches
        ready, self._ready = self._ready, {}
        try:
            self._decide_all(ready, batches)
        except _StartOver as failure:
            self._start_over([*batches, failure.batch], failure.left)
        else:
            if batches:
                await self._commit(batches)
        finally:
            # Who had no turn comes first the next time.
            if ready:
                self._ready = {**ready, **self._ready}
        if self._ready:
            # A store in memory never waits; those who were answered want to go on.
            await asyncio.sleep(0)

    def _decide_all(self, ready: dict[Aggregate, None], batches: list[Batch]) -> None:
        """Give each aggregate one turn, and put what it has to write into `batches`. Raises `_StartOver`."""
        jobs = 0
        while ready and jobs < _MOST_JOBS and not (self._alone and batches):
            aggregate = next(iter(ready))
            del ready[aggregate]
            if not aggregate.loaded:
                self._loader.load(aggregate)
                continue
            batch = Batch(aggregate, self._core.clock.now())
            jobs += self._decide(batch)
            if aggregate.has_work:
                self._want(aggregate)
            if batch.writes:
                aggregate.in_flight = True
                batches.append(batch)
            else:
                self._let_follow([batch])
                self._settle(batch)

    def _decide(self, batch: Batch) -> int:
        """Decide everything that waits for one aggregate; how much that was. Raises `_StartOver`."""
        aggregate = batch.aggregate
        jobs = list(aggregate.take(self._core.settings.batch_limit))
        for number, job in enumerate(jobs):
            command = job.command
            if job.query:
                batch.queries.append(job)
                continue
            if not self._decider.is_ready(aggregate, job):
                raise _StartOver(batch, jobs[number:])
            try:
                answer = self._decider.decide(batch, job)
                if job.keyed is not None and not isinstance(command, Internal):
                    batch.answers.append(kept(job.keyed, command, answer, batch.at))
            except UTDStreamException as error:
                self._refuse(job, error)
            except Exception as error:
                log.exception("the rules failed at %s", type(command).__name__)
                self._refuse(job, _mistake(command))
                if isinstance(error, Broken):
                    raise _StartOver(batch, jobs[number + 1 :]) from error
            else:
                batch.done.append((job, answer))
        return len(jobs)

    def _start_over(self, batches: list[Batch], left: list[Job]) -> None:
        """Decide all that again on fresh states; `left` are the last batch's jobs that had no turn."""
        self._transactions.forget(batches)
        self._surroundings.undone(batches)
        for batch in batches[:-1]:
            self._put_back(batch.aggregate, batch.jobs)
        self._put_back(batches[-1].aggregate, [*batches[-1].jobs, *left])

    def _put_back(self, aggregate: Aggregate, jobs: Iterable[Job]) -> None:
        """Let jobs wait again, before those that came after them."""
        newer = list(aggregate.take(len(aggregate.waiting)))
        for job in (*jobs, *newer):
            if isinstance(job.command, Internal):
                aggregate.news.setdefault(job.command, job)
            elif not aggregate.waiting.put(job):
                self._refuse(job, _too_many(aggregate))
        if aggregate.has_work:
            self._want(aggregate)

    def _answer(self, batch: Batch, job: Job) -> None:
        """Answer a query from a state that is committed."""
        try:
            answer = self._decider.decide(batch, job)
        except UTDStreamException as error:
            self._refuse(job, error)
        except Exception:
            log.exception("the rules failed at %s", type(job.command).__name__)
            self._refuse(job, _mistake(job.command))
        else:
            self._succeed(job, answer)

    async def _commit(self, batches: list[Batch]) -> None:
        try:
            envelopes = await self._transactions.write(batches)
        except Conflict as error:
            await self._decide_anew(batches, error)
        except UTDStreamException as error:
            self._take_back(batches, error)
        else:
            self._alone = False
            self._let_follow(batches, envelopes)
            for batch in batches:
                self._settle(batch)
        self._under_way = []

    def _let_follow(self, batches: list[Batch], envelopes: Sequence[Envelope] = ()) -> None:
        try:
            if envelopes:
                self._core.broker.publish(envelopes)
            self._surroundings.committed(batches)
        except Exception:
            log.exception("what follows from a transaction failed")

    def _settle(self, batch: Batch) -> None:
        for job, answer in batch.done:
            self._succeed(job, answer)
        for job in batch.queries:
            self._answer(batch, job)

    def _take_back(self, batches: list[Batch], error: UTDStreamException) -> None:
        """What was decided does not hold; its callers are told, and whoever only asked asks again."""
        self._surroundings.undone(batches)
        for batch in batches:
            for job, _ in batch.done:
                # Each caller gets an error of its own: a traceback belongs to one task.
                self._refuse(job, copy(error))
            self._put_back(batch.aggregate, batch.queries)

    async def _decide_anew(self, batches: list[Batch], error: Conflict) -> None:
        """Somebody else wrote what these batches are about; one at a time from here on, to find out which."""
        self._alone = True
        self._surroundings.undone(batches)
        for batch in batches:
            again = []
            for job in batch.jobs:
                job.attempts += 1
                if job.attempts >= _MOST_ATTEMPTS:
                    self._refuse(job, StoreFailed(f"others write {batch.aggregate} all the time; try later: {error}"))
                elif not await self._was_answered(job):
                    again.append(job)
            self._put_back(batch.aggregate, again)

    async def _was_answered(self, job: Job) -> bool:
        """Whether the command was done by another engine meanwhile, under the same key."""
        if job.keyed is None or isinstance(job.command, Internal):
            return False
        try:
            first = await self._idempotency.answered(job.keyed, job.command)
        except UTDStreamException as failure:
            self._refuse(job, failure)
            return True
        if first is not None:
            self._succeed(job, first[0])
        return first is not None

    def _succeed(self, job: Job, answer: Any) -> None:
        self._count(job, "ok")
        job.succeed(answer)

    def _refuse(self, job: Job, error: UTDStreamException) -> None:
        self._count(job, error.code)
        job.fail(error)

    def _count(self, job: Job, result: str) -> None:
        if not isinstance(job.command, Internal):
            self.results[job.command.spec.name, result] += 1


def _mistake(command: Command | Internal) -> UTDStreamException:
    """What the caller gets for a mistake of the rules; the log has the rest."""
    return UTDStreamException(
        f"the engine failed at {type(command).__name__}, nothing was changed; report it with the log",
        code=ErrorCode.INTERNAL,
    )


def _too_many(aggregate: Aggregate) -> RateLimited:
    waiting = len(aggregate.waiting)
    return RateLimited(
        f"{waiting} commands wait for {aggregate}; try again in a moment",
        details={"waiting": waiting},
    )


def _closed() -> Closed:
    return Closed("the engine was closed; whether the command took effect is known to the next engine on this store")


def _log_failure(future: asyncio.Future[Any]) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None and not isinstance(error, Closed | Deposed):
        log.warning("news could not be decided; they are found again: %s", error)
