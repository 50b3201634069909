from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.postgres import _private_server, postgres_server  # noqa: F401  # fixtures
from tests.redis import _private_redis, redis_server  # noqa: F401  # fixtures

from .world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A database, a media server and a bus, and no node yet."""
    async with World() as world:
        yield world
