"""Processes that the demo begins, and ends: `utd serve`, and a performer elsewhere."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import tempfile
import tomllib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from ...concurrency import Clock, TaskScope, within
from ...errors import UTDStreamException
from ...media.extras import needs_extra

log = logging.getLogger("utd_core.cli.demo")

STARTING = 30.0
"""Seconds for a process to be ready, on a machine that is busy."""
ENDING = 5.0
"""Seconds for a process to end by itself once it is told to."""


class Run:
    """A process while it runs. What it says on standard error goes to the log; the last line is kept."""

    def __init__(self, name: str, process: Process) -> None:
        self._name = name
        self._process = process
        self._last_word = ""
        self._log_is_over = asyncio.Event()

    async def read(self) -> str:
        """The next line that it prints. Raises `UTDStreamException` when it has ended."""
        assert self._process.stdout is not None
        if line := await self._process.stdout.readline():
            return line.decode()
        status = await self._process.wait()
        await self._log_is_over.wait()
        because = f": {self._last_word}" if self._last_word else ""
        raise UTDStreamException(f"{self._name} ended with status {status}{because}")

    def write(self, line: str) -> None:
        """Tell it something. Nobody hears it when it has ended, which `read` says."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def follow_log(self) -> None:
        """Pass on what it logs, to its end."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._last_word = line.decode(errors="replace").strip() or self._last_word
            log.info("%s: %s", self._name, self._last_word)
        self._log_is_over.set()


@asynccontextmanager
async def running(
    name: str, *command: str, cwd: Path | None = None, environment: Mapping[str, str], takes_orders: bool = False
) -> AsyncIterator[Run]:
    """A Python process: told to end when it is left (by the end of its standard input if it `takes_orders`, else by
    SIGTERM), and killed if that is not enough. Ctrl-C in the terminal reaches this process alone.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command),
        cwd=cwd,
        env={**_clean_environment(), **environment},
        stdin=PIPE if takes_orders else DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    run = Run(name, process)
    scope = TaskScope(f"log of {name}")
    try:
        await scope.open()
        scope.start(run.follow_log)
        yield run
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)
            await scope.aclose()


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        if process.stdin is not None:
            process.stdin.close()
        elif process.returncode is None:
            process.terminate()
        with anyio.move_on_after(ENDING):
            await process.wait()
            return
        process.kill()
        await process.wait()


def _clean_environment() -> dict[str, str]:
    """This environment without settings of a server of the user's own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("UTD_") or name == "UTD_PLUGINS"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine is served, and the credentials with which anybody is signed in."""

    base_url: str
    app_id: str
    app_key: str


@asynccontextmanager
async def serving(backend: str, settings: str, clock: Clock) -> AsyncIterator[Address]:
    """`utd serve` on a free port of the loopback interface, with a folder of its own. `settings`: the backend's, JSON.

    Raises `UTDStreamException` when it does not start, `DeadlineExceeded` when it does not get ready.
    """
    with needs_extra("`utd serve`, which this demo starts,", "server"):
        from ...server.serving.dev import DEV_FILE
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="utd-demo-")))
        command = (
            "-c",
            "from utd_core.cli import main; main()",
            "serve",
            "--dev",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
        )
        server = await exits.enter_async_context(
            running(
                "utd serve",
                *(*command, "--media", backend),
                cwd=folder,
                environment={"UTD_MEDIA_SETTINGS": settings},
            )
        )
        base_url = await within(clock, STARTING, _address(server), "utd serve did not get ready")
        credentials: dict[str, Any] = tomllib.loads((folder / DEV_FILE).read_text(encoding="utf-8"))
        yield Address(base_url, credentials["app_id"], credentials["key"])


async def _address(server: Run) -> str:
    while (found := re.search(r"commands +(http://\S+)/api/v1", await server.read())) is None:
        pass
    return found[1]
