"""The pytest plugin: fixtures for applications, cheap to have and clear when something is missing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from utd_core import Engine
from utd_core.concurrency import TaskScope
from utd_core.errors import NotFound
from utd_core.media.faults import Fault
from utd_core.model.permission import Grant
from utd_core.testing import Eventually, InjectFault, MakeClient, VirtualClock

ROOT = Path(__file__).parents[2]


async def test_the_engine_runs_on_the_virtual_clock(utd_engine: Engine, utd_clock: VirtualClock) -> None:
    assert utd_engine.clock is utd_clock
    assert utd_engine.backend.name == "mock"


async def test_clients_are_of_that_engine(utd_client: MakeClient) -> None:
    ann, bob = utd_client("ann"), utd_client("bob")
    assert (ann.identity, bob.identity) == ("ann", "bob")


async def test_a_fault_is_named_and_produced(
    utd_engine: Engine, utd_faults: InjectFault, eventually: Eventually
) -> None:
    backend = utd_engine.backend
    await backend.control.create_room("room")
    connection = await backend.connect(await backend.control.issue_join("room", "ann", grant=Grant()))
    await utd_faults("server_leave", "room", "ann")
    await eventually(lambda: connection.events.closed)
    with pytest.raises(NotFound):
        await utd_faults(Fault.SIGNAL_DROP, "room", "ann", seconds=1)


async def test_eventually_moves_the_virtual_clock_of_the_test(utd_clock: VirtualClock, eventually: Eventually) -> None:
    woken: list[float] = []

    async def sleep() -> None:
        await utd_clock.sleep(30)
        woken.append(utd_clock.monotonic())

    async with asyncio.TaskGroup() as group:
        group.create_task(sleep())
        await eventually(lambda: woken, timeout=60)
    assert woken == [30.0]


async def test_eventually_polls_real_time_without_one(eventually: Eventually) -> None:
    done: list[int] = []
    scope = TaskScope("worker")
    await scope.open()
    scope.start(asyncio.sleep, 0.01)
    asyncio.get_running_loop().call_later(0.01, done.append, 1)
    assert await eventually(lambda: done) == [1]
    await scope.aclose()


def pytest_run(folder: Path, body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a test of an application, in its own folder, in pytest-asyncio's strict mode."""
    (folder / "test_application.py").write_text("import asyncio, time\nimport pytest\n\n" + body)
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_fixtures_work_in_strict_mode(tmp_path: Path) -> None:
    body = (
        "@pytest.mark.asyncio\n@pytest.mark.no_leaks\n@pytest.mark.no_blocking_calls\n"
        "async def test_it(utd_client, utd_engine, utd_clock):\n    assert utd_client('ann').identity == 'ann'\n"
    )
    ran = pytest_run(tmp_path, body)
    assert ran.returncode == 0, ran.stdout


def test_the_markers_catch_what_they_name(tmp_path: Path) -> None:
    body = (
        "@pytest.mark.asyncio\n@pytest.mark.no_leaks\nasync def test_leaky():\n"
        "    asyncio.create_task(asyncio.sleep(1_000), name='stray')\n\n"
        "@pytest.mark.asyncio\n@pytest.mark.no_blocking_calls\nasync def test_blocking():\n"
        "    try:\n        time.sleep(0.001)\n    except Exception:\n        pass\n"
    )
    ran = pytest_run(tmp_path, body)
    assert "task stray" in ran.stdout
    assert "blocked the event loop: time.sleep" in ran.stdout
    assert "2 passed, 2 errors" in ran.stdout, ran.stdout


def test_without_pytest_asyncio_only_the_fixtures_that_need_it_fail_and_say_so(tmp_path: Path) -> None:
    (tmp_path / "without.py").write_text("import sys\nsys.modules['pytest_asyncio'] = None\n")
    body = "def test_clock(utd_clock):\n    pass\n\ndef test_engine(utd_engine):\n    pass\n"
    ran = pytest_run(tmp_path, body, "-p", "no:asyncio", "-p", "without", "-W", "ignore", "-o", "filterwarnings=")
    assert "1 passed, 1 error" in ran.stdout, ran.stdout
    assert 'needs pytest-asyncio; pip install "utd-core[testing]"' in ran.stdout


def test_having_the_plugin_loads_neither_engine_nor_extras(tmp_path: Path) -> None:
    body = (
        "import sys\n\ndef test_it():\n"
        "    heavy = ('utd_core.engine', 'utd_core.client', 'utd_core.store', 'utd_core.testing.contract',\n"
        "             'utd_mock', 'sqlalchemy', 'blockbuster', 'pydantic', 'rich', 'typer', 'numpy')\n"
        "    assert 'utd_core.testing.plugin' in sys.modules\n"
        "    assert [name for name in heavy if name in sys.modules] == []\n"
    )
    ran = pytest_run(tmp_path, body, "-p", "no:hypothesispytest", "-p", "no:anyio")
    assert ran.returncode == 0, ran.stdout
