"""A database in a thread of its own, where operations that wait at the same time are committed together.

While one transaction waits for the disk, others queue up; they are the next transaction. So the disk is waited for once
for many, and nobody waits for more than the transaction under way and their own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from ..concurrency.outside import work_begins, work_ends
from ..errors import Closed

if TYPE_CHECKING:
    from .queries import Operation
    from .rows import Rows
    from .sqlite import Database

T = TypeVar("T")

TOGETHER = 256
"""At most so many operations share a transaction, which bounds how long each of them waits."""


class Worker:
    """Runs operations on the database that `connect` makes, in one thread, for one event loop; a `Driver`."""

    def __init__(self, connect: Callable[[], Database], name: str) -> None:
        self._connect = connect
        self._name = name
        self._thread: _Thread | None = None
        self._closed = False

    async def open(self) -> None:
        """Start the thread and connect. Idempotent. Raises what `connect` raises, and may then be tried again."""
        if self._closed:
            raise Closed(f"the {self._name} was closed; make a new one")
        if self._thread is None:
            self._thread = _Thread(self._connect, self._name, asyncio.get_running_loop())
            self._thread.begin()
        thread = self._thread
        try:
            await asyncio.shield(thread.ready)
        except asyncio.CancelledError:
            # Nobody may come back to close what is being opened.
            self._closed = True
            thread.ready.cancel()
            thread.end()
            raise
        except BaseException:
            if self._thread is thread:
                self._thread = None
            await asyncio.to_thread(thread.join)
            raise

    async def aclose(self) -> None:
        """Finish what was begun, disconnect and end the thread. Idempotent."""
        self._closed = True
        if self._thread is not None:
            self._thread.end()
            await asyncio.to_thread(self._thread.join)

    async def read(self, operation: Operation[T]) -> T:
        """The result of an operation that changes nothing; it does not wait for commits that wait."""
        return await self._opened().submit(operation, writes=False)

    async def write(self, operation: Operation[T], *, urgent: bool = False) -> T:
        """The result of an operation, once what it did is durable. Nothing waits for long: it shares a transaction."""
        return await self._opened().submit(operation, writes=True)

    async def commit(self, rows: Rows) -> None:
        """Write the rows of a commit; it shares a wait for the disk with those that wait at the same time."""
        thread = self._opened()
        await thread.submit(thread.committing(rows), writes=True)

    def _opened(self) -> _Thread:
        if self._closed or self._thread is None or not self._thread.connected:
            raise Closed(f"the {self._name} is {'closed' if self._closed else 'not open'}")
        return self._thread


@dataclass(slots=True, eq=False)
class _Job:
    operation: Operation[Any]
    writes: bool
    done: asyncio.Future[Any]


class _Thread(threading.Thread):
    """`ready` is done when the database is connected, or failed with what that raised."""

    def __init__(self, connect: Callable[[], Database], name: str, loop: asyncio.AbstractEventLoop) -> None:
        # A daemon: a program that forgets to close must still be able to end; what was acknowledged is on the disk.
        super().__init__(name=name, daemon=True)
        self.ready: asyncio.Future[None] = loop.create_future()
        self.connected = False
        self.committing: Callable[[Rows], Operation[None]]
        self._connect = connect
        self._loop = loop
        # None asks the thread to end, after everything that came before.
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()

    def begin(self) -> None:
        work_begins(self._loop)
        self.start()

    def end(self) -> None:
        """Ask for the end. Idempotent."""
        self._jobs.put(None)

    def submit(self, operation: Operation[T], *, writes: bool) -> asyncio.Future[T]:
        """The operation's result is on its way, and comes whether or not anybody waits for it."""
        done: asyncio.Future[T] = self._loop.create_future()
        work_begins(self._loop)
        self._jobs.put(_Job(operation, writes, done))
        return done

    def run(self) -> None:
        try:
            database = self._connect()
        except BaseException as error:  # noqa: BLE001  # whoever opens gets it
            self._report([(self.ready, error)])
            return
        self.committing = database.committing
        self.connected = True
        try:
            self._report([(self.ready, None)])
            while jobs := self._take():
                reads = [job for job in jobs if not job.writes]
                writes = [job for job in jobs if job.writes]
                if any(job.done.cancelled() for job in writes):
                    # Whoever gave up waiting for a commit and reads now must see it.
                    self._write(database, writes)
                    self._read(database, reads)
                else:
                    # Reads take microseconds, and those who write must wait for the disk anyway.
                    self._read(database, reads)
                    self._write(database, writes)
        finally:
            database.close()

    def _read(self, database: Database, jobs: list[_Job]) -> None:
        self._report([(job.done, _attempt(database, job.operation)) for job in jobs])

    def _write(self, database: Database, jobs: list[_Job]) -> None:
        results = database.write_together([job.operation for job in jobs])
        self._report([(job.done, result) for job, result in zip(jobs, results, strict=True)])

    def _take(self) -> list[_Job]:
        """What waits, at least one; nothing when the thread is to end."""
        job = self._jobs.get()
        taken: list[_Job] = []
        while job is not None:
            taken.append(job)
            if len(taken) == TOGETHER:
                return taken
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return taken
        if taken:
            self._jobs.put(None)
        return taken

    def _report(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        """Hand results to the loop, in the order of the commits, all in one go."""
        if not results:
            return
        try:
            self._loop.call_soon_threadsafe(self._deliver, results)
        except RuntimeError:
            # The loop was closed, and nobody waits any more.
            self.end()

    def _deliver(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        for future, result in results:
            work_ends(self._loop)
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)


def _attempt(database: Database, operation: Operation[Any]) -> Any:
    try:
        return database.read(operation)
    except Exception as error:  # noqa: BLE001  # it is handed to whoever asked
        return error
