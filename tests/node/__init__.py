"""Node for tests, and the npm packages that `scripts/npm_packages.py` brings: clients that nobody here wrote.

A program under Node is told what to do in lines of JSON, and heard in others (`program.mjs`).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LONGEST_LINE = 2**24


def packages() -> Path:
    """Where the npm packages are; they are brought if they are not there."""
    return _ask(HERE)


class Program:
    """A running program. What it reports is kept until somebody waits for it, `patience` seconds at most."""

    def __init__(self, process: Process, patience: float) -> None:
        self._process = process
        self._patience = patience
        self._kept: list[dict[str, Any]] = []

    async def do(self, command: str, **fields: Any) -> Any:
        """What a command is answered."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **fields}).encode() + b"\n")
        answer = await self.hear(what="answer")
        assert "failure" not in answer, answer
        return answer["answer"]

    async def hear(self, **fields: Any) -> dict[str, Any]:
        """The first report with these fields that nobody has waited for yet; those before it are kept."""
        for kept in self.heard(**fields):
            self._kept.remove(kept)
            return kept
        while True:
            try:
                report = await asyncio.wait_for(self._next(), self._patience)
            except (TimeoutError, EOFError) as error:
                raise AssertionError(f"{fields} was waited for in vain; the program reported {self._kept}") from error
            if fields.items() <= report.items():
                return report
            self._kept.append(report)

    def heard(self, **fields: Any) -> list[dict[str, Any]]:
        """Reports with these fields that came while something else was waited for."""
        return [report for report in self._kept if fields.items() <= report.items()]

    async def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise EOFError
        report: dict[str, Any] = json.loads(line)
        return report


@asynccontextmanager
async def node_process(folder: Path, *arguments: str | Path, patience: float) -> AsyncIterator[Process]:
    """Node with these arguments and packages (`folder`), told to end by the end of its input, and killed where that
    takes longer than `patience` (seconds), or where the test fails."""
    process = await asyncio.create_subprocess_exec(
        await asyncio.to_thread(_ask, "--node"),
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        # The browser is unpacked into the folder for temporary files; there it is found again.
        env={**os.environ, "TMPDIR": str(folder), "NODE_NO_WARNINGS": "1"},
        limit=LONGEST_LINE,
    )
    try:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), patience)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _ask(*arguments: str | Path) -> Path:
    script = ROOT / "scripts/npm_packages.py"
    found = subprocess.run([sys.executable, script, *arguments], stdout=PIPE, text=True, check=True)
    return Path(found.stdout.strip())
