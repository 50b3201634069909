"""A store that is full or may only be read, seen from outside: 503 for what changes something, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.postgres import PostgresServer, _private_server, postgres_server  # noqa: F401  # fixtures
from tests.store.test_faults import execute
from utd_core import Engine
from utd_core.server import Project
from utd_core.store.file import FileStore
from utd_core.store.postgres import PostgresStore
from utd_core.store.sql_store import SqlStore

PROJECT = Project("shop", "the-key-of-the-shop", ("a secret of the shop",))
SECRET = {"X-App-Id": PROJECT.app_id, "X-App-Secret": PROJECT.secret}
PATIENCE = 20.0
METADATA = "/api/v1/rooms/lobby/metadata"

Switch = Callable[[], Awaitable[None]]


@asynccontextmanager
async def shop(store: SqlStore) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with the project's secret, at an engine on this store; there is a room."""
    async with store, Engine("mock", store=store, app_id=PROJECT.app_id) as engine, engine.asgi(PROJECT) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop", headers=SECRET) as http:
            made = await http.post("/api/v1/rooms", json={"room": "lobby", "type": "audio_room"})
            assert made.status_code == 201
            yield http


async def is_served_but_not_changed(http: httpx.AsyncClient, break_it: Switch, mend_it: Switch) -> None:
    large = {"metadata": {"notes": "x" * 60_000}}
    once = {"Idempotency-Key": "the first try is lost"}
    before = (await http.put(METADATA, json={"metadata": {"n": 1}})).json()
    await break_it()
    async with asyncio.timeout(PATIENCE):
        # A database server tells its sessions when it gets round to it.
        while (refused := await http.put(METADATA, json=large, headers=once)).status_code == 200:
            once["Idempotency-Key"] += "!"
            before = (await http.put(METADATA, json={"metadata": {"n": 1}})).json()
    for _ in range(3):
        assert (refused.status_code, refused.json()["code"]) == (503, "store_failed")
        assert refused.headers["retry-after"] == "1"
        assert not {"disk", "read-only", "postgresql", ".db"} & set(refused.json()["message"].split())
        assert "details" not in refused.json()
        refused = await http.put(METADATA, json=large, headers=once)
    room: dict[str, Any] = (await http.get("/api/v1/rooms/lobby")).json()
    assert (room["room"]["metadata"], room["room"]["metadata_revision"]) == ({"n": 1}, before)
    await mend_it()
    async with asyncio.timeout(PATIENCE):
        while (done := await http.put(METADATA, json=large, headers=once)).status_code == 503:
            pass
    assert done.json() == before + 1
    assert (await http.put(METADATA, json=large, headers=once)).json() == before + 1, "done once"


async def test_a_full_disk(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "shop.db")

    async def fill() -> None:
        (pages,) = await execute(store, "PRAGMA page_count")
        await execute(store, f"PRAGMA max_page_count = {pages + 1}")

    async def free() -> None:
        await execute(store, "PRAGMA max_page_count = 1000000")

    async with shop(store) as http:
        await is_served_but_not_changed(http, fill, free)


async def test_a_file_that_may_only_be_read(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "shop.db")

    async def close() -> None:
        await execute(store, "PRAGMA query_only = ON")

    async def reopen() -> None:
        await execute(store, "PRAGMA query_only = OFF")

    async with shop(store) as http:
        await is_served_but_not_changed(http, close, reopen)


async def test_a_database_server_that_may_only_be_read(postgres_server: PostgresServer) -> None:  # noqa: F811
    def configure(statement: str) -> None:
        postgres_server.execute(statement, "postgres")
        # For the sessions that there are as well.
        postgres_server.execute("SELECT pg_reload_conf()", "postgres")

    async def close() -> None:
        configure("ALTER SYSTEM SET default_transaction_read_only = on")

    async def reopen() -> None:
        configure("ALTER SYSTEM RESET default_transaction_read_only")

    async with shop(PostgresStore(postgres_server.url())) as http:
        await is_served_but_not_changed(http, close, reopen)
