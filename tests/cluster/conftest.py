from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.postgres import _private_server, postgres_server  # noqa: F401  # fixtures
from tests.redis import _private_redis, redis_server  # noqa: F401  # fixtures

from .fleet import ROOT
from .world import World

INSIDE = "UTD_TESTS_INSIDE_NETWORK"
PATIENCE = 300.0


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A database, a media server and a bus, and no node yet."""
    async with World() as world:
        yield world


class InOwnNetwork(pytest.Item):
    """A test that is run by another pytest, in a network of its own (`namespace.py`)."""

    def __init__(self, *, inner: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._inner = inner

    def runtest(self) -> None:
        pytest_there = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{ROOT}/{self._inner}"]
        ran = subprocess.run(
            [sys.executable, "-m", "tests.cluster.namespace", *pytest_there],
            cwd=ROOT,
            env={**os.environ, INSIDE: "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        self.add_report_section("call", "inside", ran.stdout)
        if ran.returncode:
            pytest.fail(ran.stdout, pytrace=False)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return self.path, None, self.name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked `own_network` is run in one; the pytest that does so takes it as it is."""
    if INSIDE not in os.environ:
        items[:] = [_moved(item) if item.get_closest_marker("own_network") else item for item in items]


def _moved(item: pytest.Item) -> pytest.Item:
    assert item.parent is not None
    moved: pytest.Item = InOwnNetwork.from_parent(item.parent, name=item.name, inner=item.nodeid)
    moved.own_markers = list(item.own_markers)
    return moved
