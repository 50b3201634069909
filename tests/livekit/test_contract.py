"""The shipped contract suite on a real LiveKit server; nothing is skipped but what livekit declares."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from utd_core.testing.contract.behaviours import BEHAVIOURS

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[2]
UTD = "from utd_core.cli import main; main()"
PARTS = ("C[1-6],C[1-6]?", "C[7-9],C7?,C8?,C10?", "C9?", "C11?,C12?", "S*", "M[1-5],M[1-5]?", "M6*")
"""Some side by side, each with servers of its own, because the suite waits more than it works."""
AT_ONCE = 3
SCALES = {"C11?,C12?": "3"}
"""Three sizes of 720p are encoded there, by one process and beside others."""
DENIED = {"exact_media", "max_participants", "virtual_time"}
NOT_PRODUCED = {
    "token_expiry",
    "slow_subscriber",
    "packet_loss",
    "jitter",
    "grant_delay",
    "grant_failure",
    "notifications_lost",
    "notifications_doubled",
    "notifications_delayed",
    "notifications_reversed",
}


async def conformance(part: str, turns: asyncio.Semaphore) -> tuple[int | None, str]:
    """Exit status and output of one part."""
    async with turns:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", UTD, "contract", "livekit", "--json", "--filter", part),
            *("--time-scale", SCALES.get(part, "1")),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode, said.decode()


async def test_the_backend_conforms_to_the_contract(built_server: Path) -> None:
    turns = asyncio.Semaphore(AT_ONCE)
    ran = await asyncio.gather(*(conformance(part, turns) for part in PARTS))
    failed = [said for status, said in ran if status]
    assert not failed, "\n".join(failed)
    found: list[dict[str, Any]] = [json.loads(said.splitlines()[-1]) for _, said in ran]
    passed = {number for one in found for number in one["passed"]}
    skipped = {skip["number"]: skip["capability"] for one in found for skip in one["skipped"]}
    assert passed | set(skipped) == {behaviour.number for behaviour in BEHAVIOURS}
    assert not passed & set(skipped)
    assert set(skipped.values()) == DENIED | {f"fault:{fault}" for fault in NOT_PRODUCED}
