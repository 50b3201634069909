"""One run of an operation that several callers wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..errors import Closed
from .scope import TaskScope

T = TypeVar("T")


def begin(scope: TaskScope, operation: Callable[[], Awaitable[T]], *, name: str) -> asyncio.Future[T]:
    """Run an operation in a task of the scope; what it comes to.

    Not in the task of whoever asked first: that one may be cancelled, and others wait as well. So each waits for the
    future shielded. It fails as the operation does, and with `Closed` where the scope ends before. Raises `Closed`.
    """
    outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        failed: BaseException = Closed(f"{scope.name} is closing")
        try:
            result = await operation()
        except Exception as error:  # noqa: BLE001  # it is raised where somebody waits
            failed = error
        else:
            outcome.set_result(result)
        finally:
            if not outcome.done():
                outcome.set_exception(failed)
                outcome.exception()  # seen, whether anybody waits for it or not

    scope.start(run, name=name)
    return outcome
