from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from utd_core.store import open_store
from utd_core.store.sql_store import SqlStore


@pytest.fixture(params=["memory", "file"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    """A new, open store of each kind."""
    async with open_store(tmp_path / "store.db" if request.param == "file" else None) as opened:
        yield opened
