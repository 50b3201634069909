"""One run of an operation that several wait for."""

from __future__ import annotations

import asyncio

import pytest

from utd_core.concurrency import TaskScope
from utd_core.concurrency.shared import begin
from utd_core.errors import Closed, Unavailable


async def test_whoever_asked_first_may_be_cancelled_and_the_others_have_the_outcome() -> None:
    scope, goes_on = TaskScope("claims"), asyncio.Event()
    await scope.open()

    async def operation() -> str:
        await goes_on.wait()
        return "mine"

    outcome = begin(scope, operation, name="claim")

    async def wait() -> str:
        return await asyncio.shield(outcome)

    first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    first.cancel()
    goes_on.set()
    assert await second == "mine"
    await scope.aclose()


async def test_it_fails_as_the_operation_does() -> None:
    scope = TaskScope("claims")
    await scope.open()

    async def operation() -> None:
        raise Unavailable("nobody is there")

    with pytest.raises(Unavailable, match="nobody is there"):
        await begin(scope, operation, name="claim")
    await scope.aclose()


async def test_whoever_waits_while_the_scope_closes_is_told_so() -> None:
    scope = TaskScope("claims")
    await scope.open()
    outcome = begin(scope, asyncio.Event().wait, name="claim")
    await asyncio.sleep(0)
    await scope.aclose()
    with pytest.raises(Closed, match="claims is closing"):
        await outcome
