"""The figures of /metrics follow what happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from utd_core.errors import StoreFailed
from utd_core.model.commands import GetRoom

from .nodes import Running

DEPLOY = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "deploy.md"
LOBBY = {"room": "lobby", "type": "audio_room", "owner": "ann"}


async def test_commands_are_counted_by_name_and_result(node: Running) -> None:
    for _ in range(2):
        await node.http.post("/api/v1/rooms", json=LOBBY)
    assert await node.sample("utd_command_seconds_count", command="create_room", result="ok") == 1
    assert await node.sample("utd_command_seconds_count", command="create_room", result="room_exists") == 1
    assert await node.sample("utd_request_seconds_count", operation="create_room", status="201") == 1
    assert await node.sample("utd_request_seconds_count", operation="create_room", status="409") == 1
    assert await node.sample("utd_commit_seconds_count", result="ok") == 1
    assert await node.sample("utd_commits_total", project="shop") == 1


async def test_a_request_that_gives_no_command_is_counted_too(node: Running) -> None:
    await node.http.get("/api/v1/rooms", headers={"X-App-Secret": "wrong"})
    assert await node.sample("utd_request_seconds_count", operation="list_rooms", status="401") == 1
    for path in ("/no/such", "/no/such/path"):
        await node.http.get(path)
    assert await node.sample("utd_request_seconds_count", operation="other", status="404") == 2


async def test_what_somebody_sends_never_becomes_a_label(node: Running) -> None:
    for name in ("planted-one", "planted-two"):
        await node.http.get(f"/{name}/{name}", headers={"X-Request-Id": name})
        await node.http.request(name.upper().replace("-", ""), "/api/v1/rooms")
        await node.http.get(f"/api/v1/rooms/{name}")
    assert "planted" not in (await node.http.get("/metrics")).text.lower()


async def test_rooms_and_people_are_gauges(node: Running) -> None:
    await node.http.post(
        "/api/v1/token", json={"room": "lobby", "type": "audio_room", "identity": "ann", "as_host": True}
    )
    assert await node.sample("utd_rooms", project="shop") == 1
    assert await node.sample("utd_participants", project="shop") == 1
    assert await node.sample("utd_media_seconds_count", call="issue_join", result="ok") == 1
    await node.http.delete("/api/v1/rooms/lobby")
    assert await node.sample("utd_rooms", project="shop") == 0


async def test_a_store_that_fails_is_seen(node: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(commit: Any) -> None:
        raise StoreFailed("the disk is full")

    monkeypatch.setattr(node.engine._store, "commit", fails)
    assert (await node.http.post("/api/v1/rooms", json=LOBBY)).status_code == 503
    assert await node.sample("utd_commit_seconds_count", result="store_failed") == 1
    assert await node.sample("utd_command_seconds_count", command="create_room", result="store_failed") == 1


async def test_the_page_is_one_that_prometheus_reads_and_the_book_has_every_name(node: Running) -> None:
    await node.http.post("/api/v1/rooms", json=LOBBY)
    response = await node.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    families = {family.name for family in text_string_to_metric_families(response.text)}
    assert len(families) > 20
    own = {name for name in families if name.startswith("utd_") and not name.endswith("_created")}
    book = DEPLOY.read_text(encoding="utf-8")
    assert sorted(name for name in own if f"`{name}" not in book) == []


async def test_commands_that_do_not_come_over_http_are_counted_too(node: Running) -> None:
    await node.http.post("/api/v1/rooms", json=LOBBY)
    await node.engine.execute(GetRoom(room="lobby"))
    assert await node.sample("utd_command_seconds_count", command="get_room") == 1
    assert await node.sample("utd_request_seconds_count", operation="get_room") == 0
