"""How operations come to their connections.

- Each connection has a task of its own, and only that uses it; so whoever asked may be cancelled at any time without
  an operation being torn apart.
- One connection is for commits. While one transaction is under way others wait, and are the next transaction together:
  their rows are written with one statement for each table, and the disk is waited for once.
- All the others take turns at everything else. They are opened when all are busy, up to a limit.
- What is urgent has one more connection, from the first such operation on: there it waits for nothing else, and not for
  long where the connection is dead.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ...concurrency import BoundedQueue, Overflow, TaskScope
from ...concurrency.outside import work_begins, work_ends
from ...errors import Closed, InvalidInput, StoreFailed
from ...media.extras import needs_extra

if TYPE_CHECKING:
    from ..queries import Operation
    from ..rows import Rows
    from .link import Link, Outage

T = TypeVar("T")

MOST_WAITING = 20_000
"""Operations; one more is refused, as the database does not keep up."""
TOGETHER = 256
"""At most so many commits share a transaction, which bounds how long each of them waits."""
CLOSE_PATIENCE = 10.0
"""Seconds that closing waits for what was begun."""


@dataclass(slots=True, eq=False)
class _Job:
    """`work` is an operation, or the rows of a commit. It is done whether or not anybody waits for the result."""

    work: Any
    writes: bool
    done: asyncio.Future[Any]
    ended: asyncio.Event | None = None


class Postgres:
    """A `Driver` on the database at `url`, with at most `connections` (2 or more), for one event loop."""

    def __init__(self, url: str, connections: int) -> None:
        if connections < 2:
            raise InvalidInput(f"a store on PostgreSQL needs 2 connections or more, got {connections!r}")
        self.name = name_of(url)
        self._url = url
        self._limit = connections - 1
        self._scope = TaskScope(self.name)
        self._commits: BoundedQueue[_Job] = BoundedQueue(MOST_WAITING, Overflow.DROP_NEWEST)
        self._others: BoundedQueue[_Job] = BoundedQueue(MOST_WAITING, Overflow.DROP_NEWEST)
        self._urgent: BoundedQueue[_Job] = BoundedQueue(MOST_WAITING, Overflow.DROP_NEWEST)
        self._knows_haste = False
        self._lanes = 0
        self._idle = 0
        self._quiet = asyncio.Event()
        self._begun: set[_Job] = set()
        self._opening = asyncio.Lock()
        self._outage: Outage | None = None
        self._closed = False

    async def open(self) -> None:
        self._check_not_closed()
        async with self._opening:
            if self._outage is None:
                await _outside(self._open())

    async def _open(self) -> None:
        # This takes long, and the loop should not wait for it.
        with needs_extra("a store on PostgreSQL", "postgres"):
            await asyncio.to_thread(importlib.import_module, f"{__package__}.transactions")
        from .faults import DRIVER_ERRORS, explain
        from .link import Link, Outage
        from .schema import migrate

        outage = Outage()
        link = Link(self._url, self.name, outage)
        try:
            await migrate(await link.connection())
            self._check_not_closed()
            await self._scope.open()
            self._begin_lane(self._commit, link)
        except DRIVER_ERRORS as error:
            link.drop()
            raise explain(error, self.name) from error
        except BaseException:
            link.drop()
            raise
        self._outage = outage

    async def aclose(self) -> None:
        self._closed = True
        self._commits.close()
        self._others.close()
        self._urgent.close()
        async with self._opening:
            try:
                if self._lanes:
                    # In real time: a database takes its own, whatever time it is in a test.
                    async with asyncio.timeout(CLOSE_PATIENCE):
                        await self._quiet.wait()
            except TimeoutError:
                pass
            finally:
                await self._scope.aclose()
                self._end(list(self._begun), [Closed(f"{self.name} was closed before it answered")] * len(self._begun))

    async def read(self, operation: Operation[T]) -> T:
        # Whoever gave up waiting for something it wrote, and reads now, must see it.
        for job in [job for job in self._begun if job.writes and job.done.cancelled()]:
            job.ended = job.ended or asyncio.Event()
            await job.ended.wait()
        result: T = await self._have_done(self._others, operation, writes=False)
        return result

    async def write(self, operation: Operation[T], *, urgent: bool = False) -> T:
        result: T = await self._have_done(self._urgent if urgent else self._others, operation, writes=True)
        return result

    async def commit(self, rows: Rows) -> None:
        await self._have_done(self._commits, rows, writes=True)

    def _have_done(self, queue: BoundedQueue[_Job], work: Any, *, writes: bool) -> asyncio.Future[Any]:
        if self._closed or self._outage is None:
            raise Closed(f"{self.name} is {'closed' if self._closed else 'not open'}")
        loop = asyncio.get_running_loop()
        job = _Job(work, writes, loop.create_future())
        if not queue.put(job):
            raise StoreFailed(f"{len(queue)} operations wait for {self.name} already; it does not keep up, try later")
        work_begins(loop)
        self._begun.add(job)
        self._begin_lane_if_needed(self._outage)
        return job.done

    # Lanes: a connection, and the task that uses it

    def _begin_lane_if_needed(self, outage: Outage) -> None:
        from .link import URGENT_TIMEOUT, Link

        if self._urgent and not self._knows_haste:
            self._knows_haste = True
            self._limit += 1
            self._begin_lane(self._hurry, Link(self._url, self.name, outage, timeout=URGENT_TIMEOUT))
        if len(self._others) > self._idle and self._lanes <= self._limit:
            self._begin_lane(self._serve, Link(self._url, self.name, outage))

    def _begin_lane(self, run: Any, link: Link) -> None:
        self._scope.start(self._lane, run, link)
        self._lanes += 1

    async def _lane(self, run: Any, link: Link) -> None:
        try:
            await run(link)
        finally:
            link.drop()
            self._lanes -= 1
            if not self._lanes:
                self._quiet.set()

    async def _commit(self, link: Link) -> None:
        from .transactions import commit_together

        async for first in self._commits:
            jobs = [first]
            while len(jobs) < TOGETHER and (job := self._commits.get_nowait()) is not None:
                jobs.append(job)
            self._end(jobs, await commit_together(link, [job.work for job in jobs]))
        await _outside(link.aclose())

    async def _hurry(self, link: Link) -> None:
        async for job in self._urgent:
            await self._do(job, link)
        await _outside(link.aclose())

    async def _serve(self, link: Link) -> None:
        while True:
            self._idle += 1
            try:
                job = await self._others.get()
            except Closed:
                break
            finally:
                self._idle -= 1
            await self._do(job, link)
        await _outside(link.aclose())

    async def _do(self, job: _Job, link: Link) -> None:
        from .transactions import read, write

        try:
            result = await (write if job.writes else read)(link, job.work)
        except Exception as error:  # noqa: BLE001  # it is handed to whoever asked
            result = error
        self._end([job], [result])

    def _end(self, jobs: Sequence[_Job], results: Sequence[Any]) -> None:
        """Answer those who wait, in the order of the commits."""
        loop = asyncio.get_running_loop()
        for job, result in zip(jobs, results, strict=True):
            self._begun.discard(job)
            work_ends(loop)
            if job.ended is not None:
                job.ended.set()
            if job.done.done():
                continue
            if isinstance(result, BaseException):
                job.done.set_exception(result)
            else:
                job.done.set_result(result)

    def _check_not_closed(self) -> None:
        if self._closed:
            raise Closed(f"{self.name} was closed; make a new one")


async def _outside(work: Awaitable[T]) -> T:
    """Do it, while time that is moved by hand stands still."""
    loop = asyncio.get_running_loop()
    work_begins(loop)
    try:
        return await work
    finally:
        work_ends(loop)


def name_of(url: str) -> str:
    """What a database is called in errors: its address without user, password and options."""
    parts = urlsplit(url)
    return f"the store postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
