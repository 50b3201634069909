"""The shipped contract suite on webrtc_p2p: what it denies is skipped by its declaration, everything else is shown."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from utd_core.testing.contract.behaviours import BEHAVIOURS

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
UTD = "from utd_core.cli import main; main()"
PARTS = ("M*", "S*", "C[1-6],C[1-6]?", "C[7-9],C[7-9]?,C1??")
"""Side by side, because the suite waits more than it works."""
DENIED = {"max_participants", "simulcast", "exact_media", "virtual_time"}


async def conformance(part: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", UTD, "contract", "webrtc_p2p", "--json", "--filter", part),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    found: dict[str, Any] = json.loads(said.decode().splitlines()[-1])
    assert process.returncode == 0, said.decode()
    return found


async def test_the_backend_conforms_to_the_contract() -> None:
    ran = await asyncio.gather(*(conformance(part) for part in PARTS))
    passed = {number for one in ran for number in one["passed"]}
    skipped = {skip["number"]: skip["capability"] for one in ran for skip in one["skipped"]}
    assert passed | set(skipped) == {behaviour.number for behaviour in BEHAVIOURS}
    assert not passed & set(skipped)
    assert {reason for reason in skipped.values() if not reason.startswith("fault:")} == DENIED
