"""The extra `remote`: what it brings is loaded by who needs it, and asked for in words where it is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
from utd_core import UTDStreamClient
from utd_core.errors import UTDStreamException
try:
    UTDStreamClient("app", "key", base_url="http://127.0.0.1")
except UTDStreamException as error:
    print(error)
"""

EMBEDDED = """
import sys, asyncio
from utd_core import Engine

async def main():
    async with Engine("mock") as engine, engine.client("ann") as ann:
        async with await ann.join_audio_room("lobby", as_host=True) as room:
            await room.take_seat()

asyncio.run(main())
print(sorted({"httpx", "httpcore", "h2", "websockets", "starlette"} & set(sys.modules)))
"""


def said_by(program: str) -> str:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize("missing", ["httpx", "websockets"])
def test_without_the_extra_a_client_says_what_to_install(missing: str) -> None:
    said = said_by(WITHOUT.format(missing=[missing]))
    assert missing in said
    assert 'pip install "utd-core[remote]"' in said
    assert "missing_extra" in said


def test_an_embedded_client_loads_nothing_of_it() -> None:
    assert said_by(EMBEDDED) == "[]"
