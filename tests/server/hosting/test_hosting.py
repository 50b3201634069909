"""Many projects on one server: engines are opened when they are needed, and one that fails troubles no other."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from utd_core.bus import LocalMessages
from utd_core.engine import Engine, EngineSettings
from utd_core.errors import Closed, InvalidInput, StoreFailed, Unavailable
from utd_core.media.backend import JoinTicket
from utd_core.model.call import CallEnded
from utd_core.model.command import Actor
from utd_core.model.commands import (
    CreateBan,
    CreateRoom,
    CreateSession,
    GetRoom,
    JoinRoom,
    ListRooms,
    StartCall,
)
from utd_core.model.stream_type import UTDStreamType
from utd_core.server import Hosted, Project
from utd_core.server.hosting.directory import StoredDirectory
from utd_core.server.hosting.host import INTERVAL
from utd_core.server.hosting.vault import Secrets, Vault, new_key
from utd_mock import MockBackend

from .world import World, engine_of, found

AUDIO_ROOM = UTDStreamType.AUDIO_ROOM


async def test_a_project_is_found_by_id_and_by_key_with_its_engine(world: World) -> None:
    shop, club = await world.create("shop"), await world.create("club")
    async with world.hosting() as hosting:
        assert hosting.running == {}, "nobody has asked yet"
        hosted = await found(hosting, "shop")
        assert hosted.project == shop
        assert hosted.engine.app_id == "shop"
        assert await hosting.find("shop") is hosted
        assert await hosting.find_by_key(shop.key) is hosted
        by_key = await hosting.find_by_key(club.key)
        assert by_key is not None
        assert by_key.project == club
        assert {app_id: each.engine.app_id for app_id, each in hosting.running.items()} == {
            "shop": "shop",
            "club": "club",
        }
        assert await hosting.find("nobody") is None
        assert await hosting.find_by_key("no key") is None


async def test_projects_share_database_and_media_and_nothing_else(world: World) -> None:
    for app_id in ("shop", "club"):
        await world.create(app_id)
    async with world.hosting() as hosting:
        shop, club = await engine_of(hosting, "shop"), await engine_of(hosting, "club")
        assert shop.backend is club.backend
        for engine, seats in ((shop, 3), (club, 5)):
            await engine.execute(CreateRoom(room="lobby", type=AUDIO_ROOM, seat_count=seats))
            join = JoinRoom(room="lobby", type=AUDIO_ROOM)
            ticket = await engine.execute(join, actor=Actor("ann"))
            await engine.backend.connect(JoinTicket(ticket.url, ticket.token, ticket.expires_at))
        await club.execute(CreateBan(identity="guest"))
        await world.clock.settle()
        assert len((await shop.execute(GetRoom(room="lobby"))).room.grid.seats) == 3
        assert [room.participants for room in (await shop.execute(ListRooms())).data] == [1]
        assert sorted(world.media.rooms) == ["$club/lobby", "$shop/lobby"]
        session = await shop.execute(CreateSession(identity="guest"))
        with pytest.raises(Exception, match="no user token of this engine"):
            club.actor_of(session.user_token)


async def test_an_engine_is_opened_once_however_many_ask(world: World) -> None:
    await world.create("shop")
    async with world.hosting() as hosting:
        everybody = await asyncio.gather(*(hosting.find("shop") for _ in range(20)))
        assert len({id(hosted.engine) for hosted in everybody if hosted is not None}) == 1


async def test_who_asked_first_and_went_away_does_not_take_the_engine_along(world: World) -> None:
    await world.create("shop")
    async with world.hosting() as hosting:
        for turns in range(6):
            first = asyncio.ensure_future(hosting.find("shop"))
            for _ in range(turns):
                await asyncio.sleep(0)
            first.cancel()
            assert await hosting.find("shop") is not None
            await asyncio.wait([first])


async def test_a_deadline_fires_though_nobody_asks_for_the_project(world: World) -> None:
    await world.create("shop")
    async with world.hosting() as hosting:
        engine = await engine_of(hosting, "shop")
        start = StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob", ring_timeout=30.0)
        call = await engine.execute(start, actor=Actor("ann"))
    async with world.hosting() as hosting:
        await world.clock.advance(29)
        assert hosting.running == {}
        await world.clock.advance(1 + INTERVAL)
        assert list(hosting.running) == ["shop"]
        engine = hosting.running["shop"].engine
        await world.clock.settle()
        channel = f"private-call.{call.call_id}"
        store = engine._store
        assert store is not None
        history = await store.history(channel, call.epoch, 0, 9)
        assert [type(envelope.event) for envelope in history or ()][1:] == [CallEnded]


async def test_two_servers_on_one_database_know_the_same(world: World) -> None:
    await world.create("shop")
    bus = LocalMessages()
    async with bus, world.hosting(bus=bus) as one, world.hosting(bus=bus) as other:
        engines = [(await found(each, "shop")).engine for each in (one, other)]
        await engines[0].execute(CreateRoom(room="lobby", type=AUDIO_ROOM))
        assert (await engines[1].execute(GetRoom(room="lobby"))).room.name == "lobby"
        token = (await engines[0].execute(CreateSession(identity="ann"))).user_token
        assert engines[1].actor_of(token).identity == "ann"


async def test_settings_may_be_those_of_the_project(world: World) -> None:
    await world.create("slow", name="slow")
    await world.create("fast")

    def settings(project: Project) -> EngineSettings:
        return EngineSettings(return_grace=60.0 if project.name == "slow" else 5.0)

    async with world.hosting(settings=settings) as hosting:
        graces = [(await engine_of(hosting, app_id)).settings.return_grace for app_id in ("slow", "fast")]
        assert graces == [60.0, 5.0]


async def test_what_an_embedded_engine_left_is_the_project_s_when_it_is_adopted(world: World) -> None:
    async with Engine("mock", store=world.store.scoped("rooms"), clock=world.clock, app_id="rooms") as engine:
        await engine.execute(CreateRoom(room="lobby", type=AUDIO_ROOM))
    await world.create("rooms", adopt=True)
    async with world.hosting() as hosting:
        rooms = (await (await found(hosting, "rooms")).engine.execute(ListRooms())).data
        assert [room.name for room in rooms] == ["lobby"]


class TestTrouble:
    async def test_secrets_that_this_server_cannot_read_are_one_project_s_trouble(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        for app_id in ("shop", "foreign"):
            await world.create(app_id)
        theirs = Vault(new_key()).seal("foreign", Secrets(("secret",), "key"))
        await world.store.projects.change("foreign", lambda row: replace(row, secrets=theirs))
        async with world.hosting() as hosting:
            with caplog.at_level(logging.ERROR, "utd_core.server"):
                for _ in range(3):
                    with pytest.raises(Unavailable, match="cannot be served at the moment") as refused:
                        await hosting.find("foreign")
                    assert "key" not in refused.value.message
            assert caplog.text.count("were encrypted with another key") == 1, "it is said where operators look, once"
            assert await hosting.find("shop") is not None

    async def test_an_engine_that_does_not_open_is_tried_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await world.create("shop")

        async def broken(self: Engine) -> None:
            raise StoreFailed("the disk is full")

        async with world.hosting() as hosting:
            with monkeypatch.context() as patched:
                patched.setattr(Engine, "_open", broken)
                results = await asyncio.gather(*(hosting.find("shop") for _ in range(3)), return_exceptions=True)
                assert {type(result) for result in results} == {StoreFailed}
            assert await hosting.find("shop") is not None

    async def test_a_project_that_is_deleted_while_its_engine_opens_leaves_none(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await world.create("shop")
        opening, go_on, open_engine = asyncio.Event(), asyncio.Event(), Engine._open

        async def slowly(self: Engine) -> None:
            opening.set()
            await go_on.wait()
            await open_engine(self)

        monkeypatch.setattr(Engine, "_open", slowly)
        async with world.hosting() as hosting:
            finding = asyncio.ensure_future(hosting.find("shop"))
            await opening.wait()
            await world.registry.delete("shop")
            await hosting._look()
            go_on.set()
            # It may have been found a moment before.
            await asyncio.wait([finding])
            assert await hosting.find("shop") is None
            await world.clock.settle()
            assert hosting.running == {}

    async def test_closing_while_an_engine_opens(self, world: World) -> None:
        await world.create("shop")
        for turns in range(8):
            hosting = world.hosting()
            await hosting.open()
            finding = asyncio.ensure_future(hosting.find("shop"))
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.gather(hosting.aclose(), hosting.aclose())
            (result,) = await asyncio.gather(finding, return_exceptions=True)
            assert isinstance(result, Closed | Hosted)
            with pytest.raises(Closed):
                await hosting.find("shop")

    async def test_a_backend_that_is_handed_in_stays_open(self, world: World) -> None:
        backend = MockBackend({"server": world.media}, world.clock)
        await world.create("shop")
        async with world.hosting(media=backend, media_settings=None) as hosting:
            assert (await engine_of(hosting, "shop")).backend is backend
        await backend.control.create_room("still open")
        await backend.aclose()

    async def test_an_opening_that_fails_leaves_nothing_open(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def away(*_: object) -> None:
            raise StoreFailed("away")

        monkeypatch.setattr(StoredDirectory, "all", away)
        hosting = world.hosting()
        with pytest.raises(StoreFailed):
            await hosting.open()
        assert not hosting.is_open
        with pytest.raises(Closed):
            await hosting.find("shop")

    async def test_without_the_media_plugin_nothing_is_opened(self, world: World) -> None:
        with pytest.raises(Exception, match="nonsense"):
            async with world.hosting(media="nonsense"):
                pass


def test_a_host_needs_a_key() -> None:
    with pytest.raises(InvalidInput, match="is no key"):
        Vault("secret")
