"""A process that was connected to LiveKit ends like any other."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from utd_livekit.server.local import LocalServer

AT_ONCE = 6
"""Without our care one process in three to ten died: a native thread has to meet the very end of Python for that."""

PROGRAM = """
import asyncio, sys
from utd_core.model.permission import Grant
from utd_livekit.backend import LiveKitBackend

async def come_and_go(url, key, secret, room):
    async with LiveKitBackend({"url": url, "api_key": key, "api_secret": secret}) as backend:
        await backend.control.create_room(room)
        for who in ("ann", "bob"):
            await backend.connect(await backend.control.issue_join(room, who, grant=Grant()))

asyncio.run(come_and_go(*sys.argv[1:]))
"""


@pytest.mark.heavy
async def test_processes_that_end_right_after_leaving_are_not_killed_by_a_native_thread_that_comes_in_late(
    server: LocalServer,
) -> None:
    await asyncio.to_thread(server.start)
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, server.url, server.api_key, server.api_secret, f"exit-{number}"),
            stderr=asyncio.subprocess.PIPE,
        )
        for number in range(AT_ONCE)
    ]
    said = [(await process.communicate())[1].decode() for process in processes]
    assert [
        (process.returncode, words) for process, words in zip(processes, said, strict=True) if process.returncode
    ] == []


@pytest.mark.heavy
async def test_who_stays_until_the_end_of_the_process_leaves_before_the_library_ends_and_it_says_nothing(
    built_server: Path,
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from utd_livekit.testing import contract_harness; contract_harness()"),
        stderr=asyncio.subprocess.PIPE,
    )
    said = (await process.communicate())[1].decode()
    assert (process.returncode, said) == (0, "")
