"""What an import costs: which modules it loads. Each case is an interpreter of its own."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import pytest

import utd_core

MEDIA = {"aioice", "aiortc", "av", "livekit", "matplotlib", "numpy"}
"""Libraries that no module of the core loads by being imported."""

SLOW = {"alembic", "anyio", "pluggy", "pydantic", "rich", "sqlalchemy", "typer"}
"""Libraries that `import utd_core` alone does not load either."""

SERVER = {"asyncpg", "cryptography", "httptools", "httpx", "redis", "starlette", "uvicorn", "uvloop", "websockets"}
"""What only an engine that is reached over a network needs, or one with another store or broker."""

WITH_AN_EXTRA = (
    "utd_core.testing",
    "utd_core.server",
    "utd_core.client.remote",
    "utd_core.store.postgres.",
    "utd_core.bus.redis.",
)
"""The testing kit may import pytest and what it tests with, server and remote client what they talk with; and what is
inside of the store on PostgreSQL and of the bus over Redis, which load it when they are opened, their drivers."""

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(utd_core.__path__, "utd_core.", onerror=lambda _: None)
    if not module.name.startswith(WITH_AN_EXTRA)
    and not module.name.endswith("__main__")
    and ".migrations." not in module.name  # alembic runs these, nobody imports them
)


def loaded_by(program: str) -> set[str]:
    """Top-level names in `sys.modules` after the program ran."""
    after = "; import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    ran = subprocess.run([sys.executable, "-c", program + after], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout.splitlines()[-1]))


def test_importing_the_core_loads_nothing_heavy() -> None:
    assert not loaded_by("import utd_core") & (MEDIA | SLOW | {"asyncio", "pytest"})


def test_there_are_modules_to_look_at() -> None:
    assert len(MODULES) > 20


def test_no_module_of_the_core_loads_a_media_library() -> None:
    assert not loaded_by(f"import {', '.join(MODULES)}") & MEDIA


def test_the_client_and_the_engine_load_no_command_line_and_no_server() -> None:
    assert not loaded_by("import utd_core.client, utd_core.engine") & (SERVER | {"typer", "click", "rich", "pytest"})


def test_no_module_of_the_core_loads_what_an_extra_brings() -> None:
    assert not loaded_by(f"import {', '.join(MODULES)}") & SERVER


@pytest.mark.parametrize(
    ("plugin", "library"), [("utd_livekit", "livekit"), ("utd_webrtc_p2p", "aiortc"), ("utd_mock", "numpy")]
)
def test_importing_a_plugin_does_not_load_its_library(plugin: str, library: str) -> None:
    assert library not in loaded_by(f"import {plugin}.plugin")
