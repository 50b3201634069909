from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from .served import Served
from .world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served() as served:
        yield served
