"""An engine whose lease is over: it decides nothing more, says so to whoever waits, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from utd_core.engine import Engine
from utd_core.errors import Closed, Deposed, StoreFailed
from utd_core.model.command import Actor
from utd_core.model.commands import CreateRoom, GetRoom, ListRooms, LockSeat, TakeSeat
from utd_core.model.stream_type import UTDStreamType
from utd_core.store import open_store
from utd_core.store.leases import Fence
from utd_core.store.sql_store import SqlStore

from .world import ROOM, GatedStore, World, outcome

TTL = 60.0


class Shared:
    """A database that two nodes share. `world.engine` is the first holder's."""

    def __init__(self) -> None:
        self.database = open_store()
        self.fence: Fence
        self.gated: GatedStore
        self.world: World

    async def hold(self, holder: str) -> Fence:
        """Claim the project, whoever has it: its time is over."""
        leases = self.database.leases()
        for name in ("first", "second"):
            await leases.renew(name, 0.0)
        return Fence(await leases.claim(self.database.project, holder, TTL))

    def under(self, fence: Fence) -> SqlStore:
        return self.database.scoped(self.database.project, fence=fence)


@pytest.fixture
async def shared() -> AsyncIterator[Shared]:
    shared = Shared()
    async with shared.database:
        shared.fence = await shared.hold("first")
        shared.gated = GatedStore(shared.under(shared.fence))
        shared.world = World(shared.gated)
        async with shared.world:
            yield shared


async def ended(engine: Engine) -> None:
    """It has ended by itself: nobody closed it."""
    async with asyncio.timeout(5):
        while engine._end.is_open or (engine._machinery is not None and engine._machinery.core.scope.is_open):
            await asyncio.sleep(0)


async def test_a_refused_commit_closes_it_and_its_callers_may_ask_elsewhere(shared: Shared) -> None:
    world = shared.world
    host = await world.room()
    fence = await shared.hold("second")
    commands = [
        asyncio.ensure_future(
            world.engine.execute(LockSeat(room=ROOM, index=seat), actor=host.actor, idempotency_key=key)
        )
        for seat, key in ((1, None), (2, "key"))
    ]
    for command in commands:
        error = await outcome(command)
        assert type(error) is Deposed
        assert error.status_code == 503
    assert shared.fence.is_shut
    assert not world.engine.is_open
    with pytest.raises(Deposed):
        await world.engine.execute(GetRoom(room=ROOM))
    await ended(world.engine)
    async with shared.under(fence) as store, Engine(media=world.media, store=store, clock=world.clock) as other:
        assert not any(seat.locked for seat in (await other.execute(GetRoom(room=ROOM))).room.grid.seats)
        await other.execute(LockSeat(room=ROOM, index=2), actor=host.actor, idempotency_key="key")


async def test_where_the_node_knows_first_whoever_waits_behind_a_commit_hears_that_nothing_was_done(
    shared: Shared,
) -> None:
    world, gated = shared.world, shared.gated
    host = await world.room()
    gated.hold()
    under_way = asyncio.ensure_future(world.engine.execute(TakeSeat(room=ROOM, index=1), actor=host.actor))
    await world.settle()
    waiting = [
        asyncio.ensure_future(
            world.engine.execute(CreateRoom(room=f"{ROOM}-{n}", type=UTDStreamType.AUDIO_ROOM), idempotency_key=key)
        )
        for n, key in enumerate((None, "key"))
    ]
    listing = asyncio.ensure_future(world.engine.execute(GetRoom(room=ROOM)))
    await world.settle()
    shared.fence.shut("a test says so")
    for task in (*waiting, listing):
        assert type(await outcome(task)) is Deposed
    assert not under_way.done(), "whether that holds is not known yet"
    gated.release()
    assert type(await outcome(under_way)) is Deposed, "the store refused it"
    await ended(world.engine)


async def test_a_commit_that_got_through_before_is_answered(shared: Shared) -> None:
    world, gated = shared.world, shared.gated
    host = await world.room()
    through = asyncio.Event()
    commit = gated.inner.commit

    async def slow(given: Any) -> None:
        await commit(given)
        shared.fence.shut("a test says so")
        await through.wait()

    gated.inner.commit = slow  # type: ignore[method-assign,assignment]  # the answer takes its time
    seat = asyncio.ensure_future(world.engine.execute(TakeSeat(room=ROOM, index=1), actor=host.actor))
    await world.settle()
    assert shared.fence.is_shut
    through.set()
    assert not isinstance(await outcome(seat), Exception)
    await ended(world.engine)


async def test_whoever_waits_for_what_may_have_been_done_hears_that_it_is_not_known(shared: Shared) -> None:
    """A commit that never answers is given up after the grace, and the far side repeats it with its key."""
    world, gated = shared.world, shared.gated
    host = await world.room()
    gated.hold()
    seat = asyncio.ensure_future(world.engine.execute(TakeSeat(room=ROOM, index=1), actor=host.actor))
    await world.settle()
    shared.fence.shut("a test says so")
    await world.advance(world.settings.close_grace + 0.1)
    assert type(await outcome(seat)) is Closed
    gated.release()
    await ended(world.engine)


async def test_its_followers_are_let_go_and_nothing_of_it_is_left_running(shared: Shared) -> None:
    world = shared.world
    host = await world.room()
    subscription = await host.follow(f"private-room.{ROOM}")
    shared.fence.shut("a test says so")
    await ended(world.engine)
    while len(subscription.events):
        await subscription.events.get()
    with pytest.raises(Closed):
        await subscription.events.get()
    await world.engine.aclose()
    with pytest.raises(Deposed):
        await world.engine.execute(ListRooms())
    with pytest.raises(Deposed):
        await world.engine.subscribe(f"private-room.{ROOM}", actor=Actor("host"))


async def test_it_does_nothing_to_the_media_backend_any_more(shared: Shared) -> None:
    """Two engines that mend permissions by what each of them knows would undo each other's work for ever."""
    world = shared.world
    host = await world.room()
    shared.fence.shut("a test says so")
    await ended(world.engine)
    done = len(world.server.trace)
    await host.disconnect()
    await world.advance(600.0)
    assert len(world.server.trace) == done


async def test_one_whose_lease_is_lost_while_it_opens_does_not_open(shared: Shared) -> None:
    fence = await shared.hold("first")
    async with shared.under(fence) as store:
        gated = GatedStore(store)
        begun = asyncio.Event()
        load = store.load

        async def slow(kind: str, key: str) -> Any:
            begun.set()
            await asyncio.Event().wait()
            return await load(kind, key)

        store.load = slow  # type: ignore[method-assign]  # the database takes its time
        engine = Engine(media=shared.world.media, store=gated, clock=shared.world.clock)
        opening = asyncio.ensure_future(engine.__aenter__())
        await begun.wait()
        fence.shut("a test says so")
        assert type(await outcome(opening)) is Deposed
        await engine.aclose()


async def test_under_a_fence_that_is_shut_already_none_opens(shared: Shared) -> None:
    shared.fence.shut("a test says so")
    await ended(shared.world.engine)
    engine = Engine(media=shared.world.media, store=shared.under(shared.fence), clock=shared.world.clock)
    with pytest.raises(Deposed):
        await engine.__aenter__()


async def test_closed_by_its_host_at_the_same_moment_it_ends_once(shared: Shared) -> None:
    world = shared.world
    await world.room()
    shared.fence.shut("a test says so")
    await asyncio.gather(world.engine.aclose(), world.engine.aclose())
    await ended(world.engine)


async def test_one_that_was_closed_before_stays_closed_when_its_lease_ends(shared: Shared) -> None:
    await shared.world.engine.aclose()
    shared.fence.shut("it was given back")
    with pytest.raises(Deposed):
        await shared.world.engine.execute(ListRooms())


async def test_a_database_that_fails_is_no_lost_lease(shared: Shared) -> None:
    world = shared.world
    host = await world.room()
    shared.gated.failures.append(StoreFailed("the disk is full"))
    with pytest.raises(StoreFailed):
        await world.engine.execute(TakeSeat(room=ROOM, index=1), actor=host.actor)
    assert world.engine.is_open
    await world.engine.execute(TakeSeat(room=ROOM, index=1), actor=host.actor)
