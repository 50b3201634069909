"""Node for tests, and the npm packages that `scripts/npm_packages.py` brings: clients that nobody here wrote."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JS = ROOT / "tests/server/pusher/js"
LONGEST_LINE = 2**24


def packages() -> Path:
    """Where the npm packages are; they are brought if they are not there."""
    return _ask(JS)


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
