"""`TaskScope`: whose a background task is."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

from utd_core.concurrency import TaskScope

REQUEST: ContextVar[str] = ContextVar("request", default="none")


async def test_a_task_does_not_speak_in_the_name_of_whoever_started_it() -> None:
    scope, heard = TaskScope("queue"), asyncio.get_running_loop().create_future()

    async def inner() -> None:
        heard.set_result(REQUEST.get())

    async def outer() -> None:
        scope.start(inner)

    await scope.open()
    REQUEST.set("one that is over soon")
    scope.start(outer)
    assert await heard == "none"
    await scope.aclose()
