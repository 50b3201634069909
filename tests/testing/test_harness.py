"""The harness opens and closes a backend cleanly, whatever a plugin's own context manager does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import anyio
import pytest

from utd_core.concurrency import Clock
from utd_core.errors import InvalidInput
from utd_core.media.backend import JoinTicket, MediaBackend
from utd_core.model.permission import Grant
from utd_core.testing.contract.harness import LISTENER, Harness
from utd_core.testing.contract.target import find_target
from utd_core.testing.leaks import Snapshot, assert_no_leaks
from utd_mock import MockBackend

MOCK = find_target("mock").spec


async def test_a_backend_that_cannot_be_opened_leaves_nothing_behind() -> None:
    @asynccontextmanager
    async def broken(clock: Clock) -> AsyncIterator[MediaBackend]:
        yield MockBackend({"no such setting": 1}, clock)

    before = Snapshot.take()
    with pytest.raises(InvalidInput, match="no such setting"):
        async with Harness(MOCK, broken):
            raise AssertionError("it is not open")
    await assert_no_leaks(before)


async def test_what_goes_wrong_in_closing_is_told_and_leaves_nothing_behind() -> None:
    @asynccontextmanager
    async def bad_end(clock: Clock) -> AsyncIterator[MediaBackend]:
        async with MockBackend({}, clock) as backend:
            yield backend
        raise ConnectionError("the server did not stop")

    before = Snapshot.take()
    with pytest.raises(ConnectionError, match="did not stop"):
        async with Harness(MOCK, bad_end) as harness:
            await harness.join(await harness.room(), "ann")
    await assert_no_leaks(before)


async def test_the_context_manager_may_hold_a_task_group() -> None:
    @asynccontextmanager
    async def grouped(clock: Clock) -> AsyncIterator[MediaBackend]:
        async with anyio.create_task_group() as group, MockBackend({}, clock) as backend:
            group.start_soon(anyio.sleep_forever)
            yield backend
            group.cancel_scope.cancel()

    before = Snapshot.take()
    async with Harness(MOCK, grouped) as harness:
        first = harness.backend
        await harness.renew()
        assert harness.backend is not first
    await harness.aclose()
    await assert_no_leaks(before)


class OwnBench:
    """A context manager that issues rooms and tickets itself."""

    short_ttl = 7.0

    def __init__(self, clock: Clock) -> None:
        self.backend = MockBackend({}, clock)
        self.made: list[Any] = []

    async def __aenter__(self) -> MediaBackend:
        return self.backend

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.backend.aclose()

    async def make_room(self, room: str, max_participants: int | None) -> None:
        self.made.append((room, max_participants))

    async def ticket(self, room: str, identity: str, grant: Grant, name: str, ttl: float) -> JoinTicket:
        self.made.append((room, identity, grant, name))
        return JoinTicket("own://", "ticket", ttl)

    async def expired_ticket(self, room: str, identity: str) -> JoinTicket:
        return JoinTicket("own://", f"{room}/{identity} expired", 0.0)


async def test_a_bench_with_methods_of_its_own_is_asked_first() -> None:
    benches: list[OwnBench] = []

    def open_backend(clock: Clock) -> OwnBench:
        benches.append(OwnBench(clock))
        return benches[-1]

    async with Harness(MOCK, open_backend) as harness:
        room = await harness.room(max_participants=3)
        assert await harness.ticket(room, "ann", LISTENER, name="Ann") == JoinTicket("own://", "ticket", 600.0)
        assert (await harness.expired_ticket(room, "ann")).token == f"{room}/ann expired"
        assert harness.short_ttl == 7.0
    assert benches[0].made == [(room, 3), (room, "ann", LISTENER, "Ann")]


async def test_what_a_slow_backend_gets_is_scaled() -> None:
    async with Harness(MOCK, find_target("mock").open_backend, scale=3) as harness:
        assert harness.patience == Harness.patience, "virtual time costs nothing"
    in_real_time = find_target("tests.testing.mutants.codec:IN_REAL_TIME")
    slow = Harness(in_real_time.spec, in_real_time.open_backend, scale=3)
    assert (slow.patience, slow.quiet, slow.prompt) == (30.0, 1.5, 6.0)
