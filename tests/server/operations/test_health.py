"""What load balancers and orchestrators ask."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.postgres import PostgresServer, _private_server, postgres_server  # noqa: F401  # fixtures
from tests.store.test_faults import execute
from utd_core.bus import LocalMessages
from utd_core.errors import StoreFailed
from utd_core.server.operations.health import CANNOT_WRITE, PATIENCE, Readiness
from utd_core.server.serving.node import Node
from utd_core.testing import VirtualClock
from utd_core.testing.wait import eventually, within

from .nodes import Running, a_node, settings


async def test_an_open_node_is_well_and_ready(node: Running) -> None:
    assert (await node.http.get("/health")).json() == {"status": "ok"}
    ready = await node.http.get("/ready")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "checks": {"engine": "ok", "store": "ok", "bus": "ok"}},
    )


async def test_a_node_that_drains_is_well_but_not_ready(node: Running) -> None:
    await node.node.drain()
    assert (await node.http.get("/health")).status_code == 200
    ready = await node.http.get("/ready")
    assert (ready.status_code, ready.json()["code"]) == (503, "unavailable")
    assert "retry-after" in ready.headers
    assert await node.sample("utd_ready") == 0
    assert (await node.http.get("/api/v1/rooms")).status_code == 200


async def test_an_engine_that_was_closed_is_opened_for_whoever_asks_next(node: Running) -> None:
    before = node.engine
    await before.aclose()
    assert (await node.http.get("/ready")).status_code == 200
    assert (await node.http.get("/api/v1/rooms")).status_code == 200
    assert node.engine is not before


class TestReadiness:
    async def test_a_part_that_fails_is_named_without_its_words(self, utd_clock: VirtualClock) -> None:
        async def fails() -> None:
            raise StoreFailed("postgresql://utd:passw0rd@db is away")

        async def works() -> None: ...

        readiness = Readiness(utd_clock, {"store": fails, "engine": works})
        with pytest.raises(Exception, match="not ready") as caught:
            await readiness.check()
        assert caught.value.details == {"checks": {"store": "store_failed", "engine": "ok"}}  # type: ignore[attr-defined]

    async def test_a_part_that_is_no_better_anywhere_else_is_named_and_keeps_nobody_away(
        self, utd_clock: VirtualClock
    ) -> None:
        async def is_read_only() -> str:
            return CANNOT_WRITE

        assert await Readiness(utd_clock, {"store": is_read_only}).check() == {"store": CANNOT_WRITE}

    async def test_a_part_that_does_not_answer_is_not_waited_for(self, utd_clock: VirtualClock) -> None:
        async def hangs() -> None:
            await asyncio.Event().wait()

        with pytest.raises(Exception, match="not ready"):
            await within(Readiness(utd_clock, {"store": hangs}).check(), PATIENCE + 0.1, clock=utd_clock)


async def test_a_node_whose_store_takes_nothing_is_ready_for_what_can_be_answered_and_says_so(node: Running) -> None:
    await execute(node.node._database, "PRAGMA query_only = ON")
    for _ in range(2):
        refused = await node.http.post("/api/v1/rooms", json={"room": "lobby", "type": "audio_room"})
        assert (refused.status_code, refused.json()["code"]) == (503, "store_failed")
        await node.clock.advance(2)
    ready = await node.http.get("/ready")
    assert (ready.status_code, ready.json()["checks"]["store"]) == (200, CANNOT_WRITE)
    assert await node.sample("utd_store_refused_seconds") == pytest.approx(4, abs=0.1)
    await execute(node.node._database, "PRAGMA query_only = OFF")
    await node.clock.advance(2)
    assert (await node.http.post("/api/v1/rooms", json={"room": "lobby", "type": "audio_room"})).status_code == 201
    assert (await node.http.get("/ready")).json()["checks"]["store"] == "ok"
    assert await node.sample("utd_store_refused_seconds") == 0


class TestTwoNodesOfWhichOneCannotWrite:
    """Two roles of one database: what is the matter with one of them need not be with the other."""

    async def test_it_is_not_ready_and_the_other_one_is_but_with_none_that_can_both_are(
        self,
        utd_clock: VirtualClock,
        postgres_server: PostgresServer,  # noqa: F811
    ) -> None:
        def switch(role: str, state: str) -> None:
            postgres_server.execute(f"ALTER ROLE {role} SET default_transaction_read_only = {state}")
            # For the sessions that there are as well.
            cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
            postgres_server.execute(cut, "template1")

        async def say(status: int, word: str, *nodes: httpx.AsyncClient) -> None:
            async def all_say_so() -> bool:
                said = [await node.get("/ready") for node in nodes]
                checks = [each.json().get("checks") or each.json()["details"]["checks"] for each in said]
                return [(each.status_code, check["store"]) for each, check in zip(said, checks, strict=True)] == [
                    (status, word)
                ] * len(nodes)

            await eventually(all_say_so, 60, clock=utd_clock, what=f"{len(nodes)} nodes to say {status} and {word}")

        for role in ("one", "other"):
            postgres_server.execute(f"CREATE ROLE {role} SUPERUSER LOGIN")
        bus = LocalMessages()
        url = postgres_server.url()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(bus)
            https = []
            for role, of_node in (("one", bus), ("other", LocalMessages(beside=bus))):
                await stack.enter_async_context(of_node)
                store = url.replace("postgres@", f"{role}@")
                node = Node(settings(store=store), clock=utd_clock, bus=of_node)
                await stack.enter_async_context(node)
                transport = httpx.ASGITransport(node.app)
                https.append(
                    await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://utd"))
                )
            one, other = https
            await say(200, "ok", one, other)
            await asyncio.to_thread(switch, "other", "on")
            await say(503, "store_failed", other)
            await say(200, "ok", one)
            await asyncio.to_thread(switch, "one", "on")
            # The leases are over by the database's clock, which nobody here moves.
            await asyncio.to_thread(postgres_server.execute, "UPDATE utd_lease SET until = 0")
            await say(200, CANNOT_WRITE, one, other)
            for role in ("one", "other"):
                await asyncio.to_thread(switch, role, "off")
            await say(200, "ok", one, other)


@pytest.mark.parametrize("path", ["/ready", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_they_are_only_read(node: Running, path: str, method: str) -> None:
    refused = await node.http.request(method, path)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")


async def test_they_need_no_credential(node: Running) -> None:
    transport = httpx.ASGITransport(node.node.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://utd") as anybody:
        for path in ("/health", "/ready", "/metrics"):
            assert (await anybody.get(path)).status_code == 200


async def test_metrics_with_a_token_are_for_those_who_send_it(utd_clock: VirtualClock) -> None:
    async with a_node(utd_clock, metrics_token="token-of-prometheus") as node:
        assert (await node.http.get("/metrics")).status_code == 401
        for wrong in ("token-of-prometheus", "Bearer token-of-prometheu", "Bearer "):
            assert (await node.http.get("/metrics", headers={"Authorization": wrong})).status_code == 401
        right = {"Authorization": "Bearer token-of-prometheus"}
        assert (await node.http.get("/metrics", headers=right)).status_code == 200


async def test_metrics_that_are_off_are_not_there(utd_clock: VirtualClock) -> None:
    async with a_node(utd_clock, metrics=False) as node:
        assert (await node.http.get("/metrics")).status_code == 404
        assert (await node.http.get("/ready")).status_code == 200
