"""The shipped contract suite on a real LiveKit server; nothing is skipped but what livekit declares."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from utd_core.media.faults import Fault
from utd_core.testing.contract.behaviours import BEHAVIOURS

from .lanes import Lane, lanes

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[2]
UTD = "from utd_core.cli import main; main()"
LANES = 3
DENIED = {"exact_media", "max_participants", "signalling", "virtual_time"}
NOT_PRODUCED = {Fault.SLOW_SUBSCRIBER, Fault.PACKET_LOSS, Fault.JITTER}
"""docs/how-to/livekit.md says why."""


async def conformance(lane: Lane) -> tuple[int | None, str]:
    """Exit status and output of one lane, in a process of its own with servers of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", UTD, "contract", "livekit", "--json", "--filter", lane.filters, "--time-scale", "2"),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


def outcome(said: str) -> dict[str, Any]:
    """What a lane printed last of its own; the native library may have a word after it, as the process ends."""
    line = next(line for line in reversed(said.splitlines()) if line.startswith("{"))
    found: dict[str, Any] = json.loads(line)
    return found


def test_the_lanes_hold_every_behaviour_once() -> None:
    given = [number for lane in lanes(LANES) for number in lane.numbers]
    assert sorted(given) == sorted(behaviour.number for behaviour in BEHAVIOURS)


async def test_the_backend_conforms_to_the_contract(built_server: Path) -> None:
    ran = await asyncio.gather(*map(conformance, lanes(LANES)))
    failed = [said for status, said in ran if status]
    assert not failed, "\n".join(failed)
    found = [outcome(said) for _, said in ran]
    passed = {number for one in found for number in one["passed"]}
    skipped = {skip["number"]: skip["capability"] for one in found for skip in one["skipped"]}
    assert passed | set(skipped) == {behaviour.number for behaviour in BEHAVIOURS}
    assert not passed & set(skipped)
    assert set(skipped.values()) == DENIED | {f"fault:{fault}" for fault in NOT_PRODUCED}
