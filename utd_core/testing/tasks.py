"""Where the tasks of a loop are: what a test says of something that does not come to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any


def under_way() -> list[str]:
    """One line for each task of the running loop but the caller's own: its name, and where it is."""
    others = (task for task in asyncio.all_tasks() if task is not asyncio.current_task() and not task.done())
    return sorted(f"{task.get_name()}: {where(task)}" for task in others)


def where(task: asyncio.Task[Any]) -> str:
    """The lines in which a task waits, from its own coroutine inwards."""
    lines = [f"{code.co_qualname} at {Path(code.co_filename).name}:{line}" for code, line in _frames(task.get_coro())]
    return " > ".join(lines) or str(task.get_coro())


def _frames(waiting: Any) -> Iterator[tuple[CodeType, int]]:
    while waiting is not None:
        # Coroutines, generators and asynchronous generators call the same by names of their own.
        kind = next((kind for kind in ("cr", "gi", "ag") if hasattr(waiting, f"{kind}_frame")), None)
        if kind is None:
            return
        frame = getattr(waiting, f"{kind}_frame")
        if frame is not None:
            yield frame.f_code, frame.f_lineno
        waiting = getattr(waiting, f"{kind}_yieldfrom" if kind == "gi" else f"{kind}_await")
