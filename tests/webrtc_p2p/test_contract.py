"""The shipped contract suite on webrtc_p2p: what it denies is skipped by its declaration, everything else is shown.

Once with both halves in one process, and once with the control half in another one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from utd_core.testing.contract.behaviours import BEHAVIOURS

from . import apart

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[2]
UTD = "from utd_core.cli import main; main()"
PARTS = ("M*", "S*", "C[1-6],C[1-6]?", "C[7-9],C[7-9]?,C1[01]?", "C1[2-9]?")
"""Side by side, because the suite waits more than it works."""
DENIED = {"max_participants", "simulcast", "exact_media", "virtual_time", "e2ee", "video_codecs"}


async def conformance(backend: str, part: str, **environment: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", UTD, "contract", backend, "--json", "--filter", part),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    found: dict[str, Any] = json.loads(said.decode().splitlines()[-1])
    assert process.returncode == 0, said.decode()
    return found


async def check(backend: str, denied: set[str], **environment: str) -> None:
    ran = await asyncio.gather(*(conformance(backend, part, **environment) for part in PARTS))
    passed = {number for one in ran for number in one["passed"]}
    skipped = {skip["number"]: skip["capability"] for one in ran for skip in one["skipped"]}
    assert passed | set(skipped) == {behaviour.number for behaviour in BEHAVIOURS}
    assert not passed & set(skipped)
    assert {reason for reason in skipped.values() if not reason.startswith("fault:")} == denied


@asynccontextmanager
async def far_control() -> AsyncIterator[str]:
    """A process of control halves; its port."""
    far = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.webrtc_p2p.far_control"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert far.stdout is not None
    assert far.stdin is not None
    try:
        yield (await far.stdout.readline()).decode().strip()
    finally:
        far.stdin.close()
        await far.wait()


async def test_the_backend_conforms_to_the_contract() -> None:
    await check("webrtc_p2p", DENIED)


async def test_it_conforms_with_its_halves_in_two_processes() -> None:
    async with far_control() as port:
        await check("tests.webrtc_p2p.apart:SPEC", DENIED | {"signalling"}, **{apart.PORT: port})
