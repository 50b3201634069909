from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from utd_core.store import open_store
from utd_core.store.sql_store import SqlStore


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    async with open_store() as opened:
        yield opened
