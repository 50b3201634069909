"""What load balancers and orchestrators ask."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from utd_core.errors import StoreFailed
from utd_core.server.operations.health import PATIENCE, Readiness
from utd_core.testing import VirtualClock
from utd_core.testing.wait import within

from .nodes import Running, a_node


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

    async def test_a_part_that_does_not_answer_is_not_waited_for(self, utd_clock: VirtualClock) -> None:
        async def hangs() -> None:
            await asyncio.Event().wait()

        with pytest.raises(Exception, match="not ready"):
            await within(Readiness(utd_clock, {"store": hangs}).check(), PATIENCE + 0.1, clock=utd_clock)


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
