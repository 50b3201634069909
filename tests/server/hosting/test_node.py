"""A server of the projects in its database, over HTTP."""

from __future__ import annotations

import logging

import pytest

from utd_core.errors import InvalidInput
from utd_core.model.commands import CreateRoom, CreateSession, GetRoom, ListRooms
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.hosting.vault import VARIABLE
from utd_core.server.operations.figures import OTHERS
from utd_core.server.serving.node import Node
from utd_core.server.settings import ServerSettings

from .house import House

LOBBY = CreateRoom(room="lobby", type=UTDStreamType.AUDIO_ROOM)


async def test_each_project_has_its_own_and_sees_no_other(house: House) -> None:
    shop, club = await house.create("shop"), await house.create("club")
    async with house.node() as node:
        assert await node.server(shop).code(LOBBY) == "ok"
        assert await node.server(club).code(GetRoom(room="lobby")) == "room_not_found"
        foreign = {"X-App-Id": club.app_id, "X-App-Secret": shop.secret}
        assert (await node.http.get("/api/v1/rooms", headers=foreign)).status_code == 401
        token = await node.token(shop, "ann")
        assert await node.bearer(token).code(GetRoom(room="lobby")) == "ok"
        foreign = {"X-App-Id": club.app_id, "Authorization": f"Bearer {token}"}
        assert (await node.http.get("/api/v1/rooms", headers=foreign)).status_code == 401


async def test_two_nodes_know_the_same_projects(house: House) -> None:
    shop = await house.create("shop")
    async with house.node() as one, house.node() as other:
        token = await one.token(shop, "ann")
        assert await other.bearer(token).code(CreateSession(identity="ann")) == "ok"


async def test_what_utd_project_changes_holds_a_moment_later(house: House) -> None:
    async with house.node() as node:
        shop = await house.create("shop")
        await house.clock.advance(0.5)
        server = node.server(shop)
        assert await server.code(LOBBY) == "ok", "at its first request"
        token = await node.token(shop, "ann")

        await house.registry.suspend("shop")
        await house.noticed()
        assert await server.code(ListRooms()) == "project_suspended"
        assert await node.bearer(token).code(CreateSession(identity="ann")) == "project_suspended"
        refused = await server.give(ListRooms())
        assert (refused.status_code, "settle" in refused.json()["message"]) == (403, True)
        await house.registry.suspend("shop", False)
        await house.noticed()
        assert (await server.give(ListRooms())).json()["data"][0]["name"] == "lobby", "nothing was lost"

        rotated = await house.registry.rotate(house.vault, "shop", until=house.clock.now() + 60)
        assert rotated is not None
        await house.noticed()
        assert [await node.server(each).code(ListRooms()) for each in (shop, rotated)] == ["ok", "ok"]
        await house.clock.advance(60)
        assert [await node.server(each).code(ListRooms()) for each in (shop, rotated)] == ["unauthenticated", "ok"]
        assert await node.bearer(token).code(CreateSession(identity="ann")) == "ok", "nobody is signed out by it"

        await house.registry.delete("shop")
        await house.noticed()
        assert await node.server(rotated).code(ListRooms()) == "unauthenticated"
        assert await house.registry.purge("shop") > 0


async def test_a_limit_that_is_changed_binds_from_then_on(house: House) -> None:
    shop = await house.create("shop")
    async with house.node() as node:
        assert [await node.server(shop).code(ListRooms()) for _ in range(5)] == ["ok"] * 5
        await house.registry.change("shop", limits={"commands_per_second": 1.0, "burst": 2})
        await house.noticed()
        codes = [await node.server(shop).code(ListRooms()) for _ in range(4)]
        assert codes == ["ok", "ok", "rate_limited", "rate_limited"]


class TestFigures:
    async def test_have_a_label_for_so_many_projects_and_one_for_all_others(self, house: House) -> None:
        projects = [await house.create(f"shop-{number}") for number in range(5)]
        async with house.node(metrics_projects=2) as node:
            for project in projects:
                assert await node.server(project).code(LOBBY) == "ok"
            page = await node.metrics()
            commits = [line for line in page.splitlines() if line.startswith("utd_commits_total")]
            assert sorted(commits) == [
                f'utd_commits_total{{project="{OTHERS}"}} 3.0',
                'utd_commits_total{project="shop-0"} 1.0',
                'utd_commits_total{project="shop-1"} 1.0',
            ]

    async def test_of_a_deleted_project_leave_its_label_to_another(self, house: House) -> None:
        projects = [await house.create(f"shop-{number}") for number in range(2)]
        async with house.node(metrics_projects=1) as node:
            for project in projects:
                await node.server(project).give(LOBBY)
            assert 'project="shop-1"' not in await node.metrics()
            await house.registry.delete("shop-0")
            await house.noticed()
            page = await node.metrics()
            assert ('project="shop-1"' in page, 'project="shop-0"' in page) == (True, False)


class TestWithout:
    async def test_a_key_the_server_says_what_it_needs(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(VARIABLE)
        with pytest.raises(InvalidInput, match=rf"(?s){VARIABLE} is not set.*utd project keygen.*--dev"):
            async with house.node():
                pass

    async def test_a_project_the_server_starts_and_says_how_to_make_one(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "utd_core.server"):
            async with house.node() as node:
                assert (await node.http.get("/ready")).status_code == 200
        assert "utd project create" in caplog.text

    def test_a_store_that_lasts_there_are_no_projects(self) -> None:
        with pytest.raises(InvalidInput, match="there is no project"):
            Node(ServerSettings.load({"store": ":memory:"}, file="/dev/null"))
