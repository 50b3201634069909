"""What another process changes, which only has the database in common, is noticed by a server that runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from utd_core.errors import Deposed, StoreFailed
from utd_core.model.call import UTDCallStatus
from utd_core.model.command import Actor
from utd_core.model.commands import (
    CreateSession,
    GetCall,
    GetRoom,
    ListRooms,
    StartCall,
)
from utd_core.model.stream_type import UTDStreamType
from utd_core.server.hosting.directory import StoredDirectory
from utd_core.server.hosting.host import INTERVAL, Hosting
from utd_core.server.hosting.silence import INTERVAL as SILENCE_INTERVAL

from .world import World, engine_of, found

AUDIO_ROOM = UTDStreamType.AUDIO_ROOM


async def test_a_new_project_is_there_at_its_first_request(world: World) -> None:
    async with world.hosting() as hosting:
        assert await hosting.find("shop") is None
        project = await world.create("shop")
        await world.clock.advance(0.5)
        assert (await found(hosting, "shop")).project == project


async def test_who_asks_for_what_is_not_there_again_and_again_costs_little(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.hosting() as hosting:
        looks = 0
        look = Hosting._look_now

        async def counted(self: Hosting) -> None:
            nonlocal looks
            looks += 1
            await look(self)

        monkeypatch.setattr(Hosting, "_look_now", counted)
        await world.clock.advance(1.0)
        await asyncio.gather(*(hosting.find(f"nobody-{number}") for number in range(100)))
        await asyncio.gather(*(hosting.find_by_key(f"no key {number}") for number in range(100)))
        assert looks == 1


async def test_a_suspended_project_is_handed_out_as_that_with_the_same_engine(world: World) -> None:
    await world.create("shop")
    async with world.hosting() as hosting:
        before = await found(hosting, "shop")
        await world.registry.suspend("shop")
        await world.clock.advance(INTERVAL)
        after = await found(hosting, "shop")
        assert (before.project.suspended, after.project.suspended) == (False, True)
        assert after.engine is before.engine


async def test_nobody_talks_in_the_rooms_of_a_suspended_project(world: World) -> None:
    """Whoever is there is sent away, and so is whoever comes in with a ticket from before."""
    for app_id in ("shop", "club"):
        await world.create(app_id)
    async with world.hosting() as hosting:
        await world.talk(hosting, "club")
        late = await world.talk(hosting, "shop")
        await world.registry.suspend("shop")
        await world.clock.advance(2 * INTERVAL)
        assert world.people() == {"$club/lobby": {"ann"}}
        engine = await engine_of(hosting, "shop")
        await engine.backend.connect(late)
        assert world.people()["$shop/lobby"] == {"ann"}, "her ticket is still good at the media server"
        await world.clock.advance(SILENCE_INTERVAL + INTERVAL)
        assert world.people() == {"$club/lobby": {"ann"}}

        assert (await engine.execute(GetRoom(room="lobby"))).room.name == "lobby", "what it has is kept"
        await world.registry.suspend("shop", False)
        await world.clock.advance(INTERVAL)
        await world.talk(hosting, "shop")
        await world.clock.advance(2 * SILENCE_INTERVAL)
        assert world.people() == {"$club/lobby": {"ann"}, "$shop/lobby": {"ann"}}


async def test_nobody_talks_in_the_rooms_of_a_deleted_project(world: World) -> None:
    for app_id in ("shop", "club"):
        await world.create(app_id)
    async with world.hosting() as hosting:
        for app_id in ("shop", "club"):
            await world.talk(hosting, app_id)
        await world.registry.delete("shop")
        await world.clock.advance(2 * INTERVAL)
        assert world.people() == {"$club/lobby": {"ann"}}


async def test_a_project_that_was_suspended_before_the_server_began_is_silent(world: World) -> None:
    await world.create("shop")
    async with world.hosting() as hosting:
        await world.talk(hosting, "shop")
    await world.registry.suspend("shop")
    async with world.hosting() as hosting:
        await world.clock.advance(INTERVAL)
        assert world.people() == {}


async def test_the_deadlines_of_a_suspended_project_fire(world: World) -> None:
    await world.create("shop")
    async with world.hosting() as hosting:
        ringing = StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob", ring_timeout=10.0)
        call = await (await found(hosting, "shop")).engine.execute(ringing, actor=Actor("ann"))
    await world.registry.suspend("shop")
    async with world.hosting() as hosting:
        await world.clock.advance(10 + 2 * INTERVAL)
        engine = (await found(hosting, "shop")).engine
        assert (await engine.execute(GetCall(id=call.call_id))).status is UTDCallStatus.MISSED


async def test_an_old_secret_is_accepted_until_its_time(world: World) -> None:
    old = await world.create("shop")
    async with world.hosting() as hosting:
        await world.registry.rotate(world.vault, "shop", until=world.clock.now() + 60)
        await world.clock.advance(INTERVAL)
        assert (await found(hosting, "shop")).project.has_secret(old.secret)
        await world.clock.advance(60)
        assert not (await found(hosting, "shop")).project.has_secret(old.secret)
    async with world.hosting() as hosting:
        assert not (await found(hosting, "shop")).project.has_secret(old.secret)


async def test_a_new_secret_is_accepted_beside_the_old_one(world: World) -> None:
    old = await world.create("shop")
    async with world.hosting() as hosting:
        token = (await (await found(hosting, "shop")).engine.execute(CreateSession(identity="ann"))).user_token
        new = await world.registry.rotate(world.vault, "shop")
        assert new is not None
        await world.clock.advance(INTERVAL)
        hosted = await found(hosting, "shop")
        assert hosted.project.has_secret(new.secret)
        assert hosted.project.has_secret(old.secret)
        assert hosted.project.secret == new.secret
        assert hosted.engine.actor_of(token).identity == "ann"
        await world.registry.finish_rotation(world.vault, "shop")
        await world.clock.advance(INTERVAL)
        assert not (await found(hosting, "shop")).project.has_secret(old.secret)


async def test_a_deleted_project_is_gone_and_its_engine_closed(world: World) -> None:
    project = await world.create("shop")
    async with world.hosting() as hosting:
        engine = await engine_of(hosting, "shop")
        await world.registry.delete("shop")
        await world.clock.advance(INTERVAL)
        assert await hosting.find("shop") is None
        assert await hosting.find_by_key(project.key) is None
        assert not engine.is_open
        with pytest.raises(Deposed):
            await engine.execute(ListRooms())
        assert await world.registry.purge("shop") > 0


async def test_one_that_was_made_anew_under_its_name_is_another_project(world: World) -> None:
    await world.create("shop")
    async with world.hosting() as hosting:
        before = await found(hosting, "shop")
        await world.talk(hosting, "shop")
        token = (await before.engine.execute(CreateSession(identity="ann"))).user_token
        await (await engine_of(hosting, "shop")).aclose()
        await world.registry.delete("shop")
        await world.registry.purge("shop")
        project = await world.create("shop")
        await world.clock.advance(INTERVAL)
        after = await found(hosting, "shop")
        assert after.project == project
        assert after.engine is not before.engine
        assert (await after.engine.execute(ListRooms())).data == ()
        await world.clock.advance(INTERVAL)
        assert world.people() == {}, "whoever talked was of the project before"
        await world.talk(hosting, "shop")
        await world.clock.advance(2 * SILENCE_INTERVAL)
        assert world.people() == {"$shop/lobby": {"ann"}}
        with pytest.raises(Exception, match="no user token"):
            after.engine.actor_of(token)


async def test_an_older_look_does_not_take_a_new_project_for_a_deleted_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.hosting() as hosting:
        versions, slow, seen = StoredDirectory.versions, asyncio.Event(), asyncio.Event()

        async def delayed(self: StoredDirectory) -> Any:
            found = await versions(self)
            if not seen.is_set():
                seen.set()
                await slow.wait()
            return found

        monkeypatch.setattr(StoredDirectory, "versions", delayed)
        older = asyncio.ensure_future(hosting._look())
        await seen.wait()
        await world.create("shop")
        newer = asyncio.ensure_future(hosting._look())
        await world.clock.settle()
        slow.set()
        await asyncio.gather(older, newer)
        assert hosting.app_ids == ["shop"]


async def test_a_database_that_cannot_be_asked_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.create("shop")
    async with world.hosting() as hosting:
        hosted = await found(hosting, "shop")

        async def away(*_: object) -> None:
            raise StoreFailed("away")

        with monkeypatch.context() as patched:
            patched.setattr("utd_core.store.projects.StoredProjects.versions", away)
            await world.clock.advance(10 * INTERVAL)
            assert await hosting.find("shop") is hosted
            with pytest.raises(StoreFailed):
                await hosting.find("another")
        await world.registry.suspend("shop")
        await world.clock.advance(INTERVAL)
        assert (await found(hosting, "shop")).project.suspended
