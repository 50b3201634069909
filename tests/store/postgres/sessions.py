"""Other sessions beside a store, and what is to be seen of it."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from utd_core.store.postgres import PostgresStore, link

from ..rows import ROOM


class Lock:
    """Another session, with a row that nobody else gets until it lets go."""

    def __init__(self, url: str, project: str, key: str = "lobby") -> None:
        self._url = url
        self._row = (project, ROOM, key)

    async def __aenter__(self) -> Self:
        self._connection = await link.connect(self._url)
        await self._connection.execute("BEGIN")
        where = "WHERE project = $1 AND kind = $2 AND key = $3"
        await self._connection.execute(f"SELECT 1 FROM utd_state {where} FOR UPDATE", *self._row)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.execute("ROLLBACK")
        await self._connection.close()


async def eventually(condition: Any, what: str, patience: float = 20.0) -> None:
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.005)
    assert condition(), what


async def shown(store: PostgresStore, name: str) -> str:
    async def show(session: Any) -> str:
        value: str = await session.connection.fetchval(f"SHOW {name}")
        return value

    return await store.driver.read(show)
