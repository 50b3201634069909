"""The shipped contract suite on a real LiveKit server; nothing is skipped but what livekit declares."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from tests.proxy import LOOPBACK, Proxy
from tests.tls import Authority
from utd_core.testing.contract.behaviours import BEHAVIOURS
from utd_livekit.server.local import LocalServer

from .lanes import lanes

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[2]
UTD = "from utd_core.cli import main; main()"
LANES = 3
PATIENCE = "3"
"""A goodbye that is lost, which happens where somebody leaves as he comes, is made up for by the server after 20 s."""
DENIED = {"exact_media", "max_participants", "signalling", "virtual_time"}


async def conformance(filters: str, **environment: str) -> tuple[int | None, str]:
    """Exit status and output of some behaviours, in a process of its own with servers of its own."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("LIVEKIT_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", UTD, "contract", "livekit", "--json", "--filter", filters, "--time-scale", PATIENCE),
        cwd=ROOT,
        env={**usual, **environment, "PYTHONPATH": str(ROOT)},
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
    ran = await asyncio.gather(*(conformance(lane.filters) for lane in lanes(LANES)))
    failed = [said for status, said in ran if status]
    assert not failed, "\n".join(failed)
    found = [outcome(said) for _, said in ran]
    passed = {number for one in found for number in one["passed"]}
    skipped = {skip["number"]: skip["capability"] for one in found for skip in one["skipped"]}
    assert passed | set(skipped) == {behaviour.number for behaviour in BEHAVIOURS}
    assert not passed & set(skipped)
    assert set(skipped.values()) == DENIED


ELSEWHERE = {"M51": "notifications", "M60": "notifications", "C87": "fault:node_failure", "C91": "fault:packet_loss"}
"""What only a server of our own shows."""
ENCRYPTED = {"C83": "fault:full_reconnect", "C85": "fault:signal_drop", "C89": "fault:token_expiry"}
"""And what goes through no wire of ours."""


async def excused(server: LocalServer, url: str, asked_for: Collection[str], **environment: str) -> dict[str, str]:
    """Of these behaviours those that are skipped on a server that the user names, by capability; the others pass."""
    names = {"URL": url, "API_KEY": server.api_key, "API_SECRET": server.api_secret}
    environment |= {f"LIVEKIT_{name}": value for name, value in names.items()}
    status, said = await conformance(",".join(asked_for), **environment)
    assert status == 0, said
    found = outcome(said)
    skipped = {skip["number"]: skip["capability"] for skip in found["skipped"]}
    assert {*found["passed"], *skipped} == set(asked_for)
    return skipped


async def test_on_a_server_that_the_user_names_it_excuses_what_only_a_server_of_our_own_shows(
    server: LocalServer,
) -> None:
    await asyncio.to_thread(server.start)
    asked_for = {*ELSEWHERE, "M1", "C1", "C46", "C108", "C109", "C110"}
    assert await excused(server, server.url, asked_for) == ELSEWHERE


async def test_over_tls_it_excuses_what_breaks_a_wire_as_well(server: LocalServer, tmp_path: Path) -> None:
    await asyncio.to_thread(server.start)
    authority = Authority(tmp_path)
    asked_for = {*ELSEWHERE, *ENCRYPTED, "M1", "M8", "C1", "C46", "C94"}
    async with Proxy(server.port, tls=authority.server()) as proxy:
        url = f"wss://{LOOPBACK}:{proxy.port}"
        assert await excused(server, url, asked_for, SSL_CERT_FILE=str(authority.path)) == ELSEWHERE | ENCRYPTED


async def test_a_server_that_is_not_there_is_named(built_server: Path) -> None:
    status, said = await conformance(
        "M1", LIVEKIT_URL="ws://127.0.0.1:9", LIVEKIT_API_KEY="key", LIVEKIT_API_SECRET="secret"
    )
    assert status == 2, said
    assert "LIVEKIT_URL" in said.splitlines()[-1]
