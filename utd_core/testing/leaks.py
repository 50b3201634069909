"""What a piece of code left behind: tasks, threads and file descriptors.

A snapshot taken before is compared with the world after. Closing may take a moment on a real network (a
thread ends, a socket is closed one loop iteration later), so the comparison has a deadline.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .tasks import where

_DESCRIPTORS = next((folder for folder in (Path("/proc/self/fd"), Path("/dev/fd")) if folder.is_dir()), None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tasks of the running loop, the threads and the open descriptors of this process, at one moment.

    The caller's own task and the threads of the loop's default executor are not counted: the loop owns those.
    Descriptors are told apart by number and by what they are open on; None where the system cannot list them.
    """

    tasks: frozenset[asyncio.Task[Any]]
    threads: frozenset[threading.Thread]
    descriptors: frozenset[tuple[int, str]] | None

    @classmethod
    def take(cls) -> Snapshot:
        """Look now; call it from a coroutine of the loop that is watched."""
        loop = asyncio.get_running_loop()
        tasks = frozenset(task for task in asyncio.all_tasks(loop) if not task.done()) - {asyncio.current_task()}
        executor = getattr(loop, "_default_executor", None)
        pool = executor._threads if isinstance(executor, ThreadPoolExecutor) else set()
        return cls(tasks, frozenset(threading.enumerate()) - pool, _open_descriptors())

    def leaked_since(self, before: Snapshot) -> list[str]:
        """One line for each thing that is here and was not before; empty is good."""
        lines = [f"task {task.get_name()}: {where(task)}" for task in self.tasks - before.tasks]
        lines += [f"thread {thread.name}" for thread in self.threads - before.threads if thread.is_alive()]
        if self.descriptors is not None and before.descriptors is not None:
            lines += [
                f"descriptor {number}: {target}{_whereto(number)}"
                for number, target in sorted(self.descriptors - before.descriptors)
            ]
        return sorted(lines)


async def leaks_since(before: Snapshot, *, grace: float = 1.0) -> list[str]:
    """What is still there after at most `grace` real seconds that was not in `before`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + grace
    while leaked := Snapshot.take().leaked_since(before):
        if loop.time() >= end:
            return leaked
        await asyncio.sleep(0.005)
    return []


async def assert_no_leaks(before: Snapshot, *, grace: float = 1.0) -> None:
    """Raise `AssertionError` naming everything that was left behind."""
    if leaked := await leaks_since(before, grace=grace):
        raise AssertionError("left behind:\n  " + "\n  ".join(leaked))


def _open_descriptors() -> frozenset[tuple[int, str]] | None:
    if _DESCRIPTORS is None:
        return None
    # The list is complete before any entry is looked at; the descriptor of the listing itself is closed by then.
    numbers = [int(name) for name in (entry.name for entry in _DESCRIPTORS.iterdir()) if name.isdigit()]
    return frozenset(_described(numbers))


def _described(numbers: list[int]) -> Iterator[tuple[int, str]]:
    for number in numbers:
        with suppress(OSError):
            seen = os.fstat(number)
            yield number, f"{_kind(seen.st_mode)} {seen.st_dev}:{seen.st_ino}"


def _whereto(number: int) -> str:
    """What a socket is between; nothing for what is none, or not there any more."""
    try:
        seen = socket.socket(fileno=number)
    except OSError:
        return ""
    try:
        ends = f", {seen.type.name.removeprefix('SOCK_')} at {seen.getsockname()}"
        with suppress(OSError):
            ends += f" to {seen.getpeername()}"
        return ends
    except OSError:
        return ""
    finally:
        # It is somebody else's, and stays open.
        seen.detach()


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISFIFO, "pipe"),
        (stat.S_ISREG, "file"),
        (stat.S_ISDIR, "folder"),
    ):
        if test(mode):
            return name
    return "device"
