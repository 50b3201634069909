"""What ended is kept for a while, and then discarded, without a trace that could mislead anybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest

from utd_core.broker.base import Recover
from utd_core.engine import EngineSettings
from utd_core.errors import Closed, InvalidInput, MediaError, NotFound, StoreFailed
from utd_core.model.call import UTDCallStatus
from utd_core.model.commands import (
    CreateRoom,
    EndCall,
    EndRoom,
    GetCall,
    GetRoom,
    ListCalls,
    LockSeat,
    StartCall,
)
from utd_core.model.results import RoomSnapshot
from utd_core.model.room import RoomEnded
from utd_core.model.stream_type import UTDStreamType
from utd_core.store import open_store
from utd_core.store.base import Remains, Store
from utd_core.testing.wait import within

from .world import ROOM, GatedStore, World, codes, events, outcome, waiting

pytestmark = pytest.mark.embedded("what is kept is looked at, not how people reach it")

AUDIO_ROOM = UTDStreamType.AUDIO_ROOM
CHANNEL = f"private-room.{ROOM}"
KEPT = 1_000.0
PRUNED_EVERY = 50.0
CREATE = CreateRoom(room=ROOM, type=AUDIO_ROOM, empty_timeout=31_536_000.0)


def a_world(store: Store | Path | None = None, **settings: Any) -> World:
    return World(store, **{"ended_retention": KEPT, "prune_interval": PRUNED_EVERY, **settings})


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as world:
        yield world


@pytest.fixture(params=["memory", "file"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GatedStore]:
    store = GatedStore(open_store(tmp_path / "gated.db" if request.param == "file" else None))
    yield store
    store.release()
    await store.aclose()


@pytest.fixture
async def gated(store: GatedStore) -> AsyncIterator[World]:
    async with a_world(store) as world:
        yield world


def store_of(world: World) -> Store:
    store = world.engine._store
    assert store is not None
    return store


async def keys(world: World, kind: str) -> list[str]:
    return [row.key for row in await store_of(world).states(kind, ended=None)]


async def snapshot(world: World) -> RoomSnapshot:
    seen = await world.server_does(GetRoom(room=ROOM))
    assert isinstance(seen, RoomSnapshot)
    return seen


async def an_ended_room(world: World, events: int = 5) -> RoomSnapshot:
    """A room with some events, the last of which is its end; as it was then."""
    await world.server_does(CREATE)
    for index in range(events):
        await world.server_does(LockSeat(room=ROOM, index=index))
    await world.server_does(EndRoom(room=ROOM))
    return await snapshot(world)


async def test_a_room_that_ended_is_kept_for_as_long_as_the_settings_say(world: World) -> None:
    before = await an_ended_room(world)
    await world.server_does(CreateRoom(room="other", type=AUDIO_ROOM, empty_timeout=31_536_000.0))
    await world.advance(KEPT - PRUNED_EVERY)
    assert await keys(world, "room") == ["other", ROOM]
    assert await store_of(world).history(CHANNEL, before.epoch, 0, 100)
    await world.advance(3 * PRUNED_EVERY)
    assert await keys(world, "room") == ["other"], "what goes on is never touched, however old"
    with pytest.raises(NotFound):
        await snapshot(world)
    with pytest.raises(NotFound):
        await world.engine.subscribe(CHANNEL, recover=Recover(before.epoch, before.offset))
    for offset in range(1, before.offset + 1):
        assert await store_of(world).history(CHANNEL, before.epoch, offset, 100) is None


async def test_a_call_goes_with_its_channel_and_with_the_lines_that_remember_it(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    call = await ann.call("bob")
    await bob.do(EndCall(id=call.call_id))
    await world.advance(KEPT / 2)
    later = await ann.call("eve")
    await ann.do(EndCall(id=later.call_id))
    assert await keys(world, "line") == ["ann", "bob", "eve"]
    await world.advance(KEPT / 2 + 2 * PRUNED_EVERY)
    assert await keys(world, "call") == [later.call_id]
    assert await keys(world, "line") == ["ann", "eve"]
    assert (await store_of(world).head(f"private-call.{call.call_id}")).offset == 0
    assert [seen.call_id for seen in (await ann.do(ListCalls())).data] == [later.call_id]
    assert codes([await outcome(ann.do(GetCall(id=call.call_id)))]) == ["call_not_found"]
    await world.advance(KEPT)
    assert await keys(world, "call") == await keys(world, "line") == []
    assert (await ann.do(ListCalls())).data == ()
    assert (await ann.call("bob")).status is UTDCallStatus.INITIATING


async def test_a_call_that_goes_on_keeps_both_lines_however_old(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    call = await ann.call("bob")
    await ann.connect()
    await bob.accept(call.call_id)
    await bob.connect()
    await world.advance(2 * KEPT)
    assert await keys(world, "call") == [call.call_id]
    assert await keys(world, "line") == ["ann", "bob"]


async def test_without_a_limit_everything_is_kept() -> None:
    async with a_world(ended_retention=None) as world:
        await an_ended_room(world)
        await world.advance(100 * KEPT)
        assert (await snapshot(world)).room.end_reason == "ended"


def test_a_retention_is_a_number_above_zero_or_none() -> None:
    assert EngineSettings().ended_retention == 86_400.0
    assert EngineSettings(ended_retention=None).ended_retention is None
    for bad in (0, -1.0, True, "1", float("nan")):
        with pytest.raises(InvalidInput, match="ended_retention"):
            EngineSettings(ended_retention=bad)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(InvalidInput, match="history_seconds"):
        EngineSettings(history_seconds=None)  # type: ignore[arg-type]  # that is the point


async def test_what_an_engine_before_this_one_left_behind_is_discarded_too(tmp_path: Path) -> None:
    async with a_world(tmp_path / "engine.db") as world:
        await an_ended_room(world)
        await world.stop()
        await world.clock.advance(KEPT + 1)
        await world.start()
        await world.advance(2 * PRUNED_EVERY)
        assert await keys(world, "room") == []


async def test_no_place_in_a_discarded_channel_is_recovered_in_the_one_that_began_anew(world: World) -> None:
    """Neither from what the broker remembers nor from the store; also when the new one has come as far as the old."""
    old = await an_ended_room(world)
    await world.advance(KEPT + 2 * PRUNED_EVERY)
    await world.server_does(CREATE)
    new = await snapshot(world)
    assert new.offset == new.room.version == 1
    assert new.epoch != old.epoch
    for index in range(8):
        for offset in range(old.offset + 2):
            again = await world.engine.subscribe(CHANNEL, recover=Recover(old.epoch, offset))
            assert not again.recovered
            world.engine.unsubscribe(again)
        if index < 7:
            await world.server_does(LockSeat(room=ROOM, index=index))
    again = await world.engine.subscribe(CHANNEL, recover=Recover(new.epoch, 1))
    assert again.recovered
    assert len(waiting(again)) == 7


async def test_a_name_that_is_used_again_before_it_is_discarded_goes_on_in_its_channel(world: World) -> None:
    old = await an_ended_room(world)
    await world.server_does(CREATE)
    new = await snapshot(world)
    assert (new.epoch, new.offset) == (old.epoch, old.offset + 1)
    again = await world.engine.subscribe(CHANNEL, recover=Recover(old.epoch, old.offset))
    assert again.recovered
    await world.advance(2 * KEPT)
    assert (await snapshot(world)).room.phase.value == "live"


async def test_who_followed_the_old_channel_to_its_end_is_told_that_it_began_anew(world: World) -> None:
    await world.server_does(CREATE)
    subscription = await world.engine.subscribe(CHANNEL)
    await world.server_does(EndRoom(room=ROOM))
    await world.advance(KEPT + 2 * PRUNED_EVERY)
    assert not subscription.events.closed
    await world.server_does(CREATE)
    assert [type(event) for event in events(subscription)] == [RoomEnded]
    with pytest.raises(Closed, match="anew"):
        await subscription.events.get()


async def test_a_repeated_command_is_recognised_after_what_it_made_was_discarded(world: World) -> None:
    first = await world.server_does(CREATE, key="room-1")
    ann = world.person("ann")
    start = StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob")
    call = await ann.do(start, key="call-1")
    await world.server_does(EndRoom(room=ROOM))
    await ann.do(EndCall(id=call.call_id))
    await world.advance(KEPT + 2 * PRUNED_EVERY)
    assert await world.server_does(CREATE, key="room-1") == first
    assert (await ann.do(start, key="call-1")).call_id == call.call_id
    assert await keys(world, "room") == await keys(world, "call") == [], "nothing was made again"
    await world.server_does(CREATE, key="room-2")
    assert await keys(world, "room") == [ROOM]


async def until_discarding(world: World) -> None:
    await world.clock.advance(KEPT + 2 * PRUNED_EVERY)


async def test_a_room_created_anew_before_the_discard_that_found_it_ended_is_left_alone(
    gated: World, store: GatedStore
) -> None:
    old = await an_ended_room(gated)
    created: list[RoomSnapshot] = []

    async def create(remains: Sequence[Remains]) -> None:
        store.before_discard = None
        created.append(await gated.server_does(CREATE))

    store.before_discard = create
    await until_discarding(gated)
    assert created
    new = await snapshot(gated)
    assert (new.room.phase.value, new.epoch, new.offset) == ("live", old.epoch, old.offset + 1)
    assert await store.history(CHANNEL, old.epoch, 0, 100)
    await gated.server_does(LockSeat(room=ROOM, index=0))


async def test_a_room_created_anew_on_a_state_that_is_discarded_before_the_commit_begins_in_a_new_epoch(
    gated: World, store: GatedStore
) -> None:
    old = await an_ended_room(gated)
    creating: list[asyncio.Future[Any]] = []

    async def begin_to_create(remains: Sequence[Remains]) -> None:
        store.before_discard = None
        store.hold()
        creating.append(asyncio.ensure_future(gated.server_does(CREATE)))
        while not store.held:
            await asyncio.sleep(0)

    store.before_discard = begin_to_create
    await until_discarding(gated)
    assert await keys(gated, "room") == []
    store.release()
    await creating[0]
    new = await snapshot(gated)
    assert (new.room.phase.value, new.offset) == ("live", 1)
    assert new.epoch != old.epoch
    await gated.server_does(LockSeat(room=ROOM, index=0))


async def test_a_call_to_somebody_whose_line_is_discarded_while_it_begins_engages_both(
    gated: World, store: GatedStore
) -> None:
    ann, bob, eve = gated.person("ann"), gated.person("bob"), gated.person("eve")
    await ann.do(EndCall(id=(await ann.call("bob")).call_id))
    calling: list[asyncio.Future[Any]] = []

    async def begin_to_call(remains: Sequence[Remains]) -> None:
        if "bob" in [each.key for each in remains]:
            store.before_discard = None
            store.hold()
            calling.append(asyncio.ensure_future(eve.call("bob")))
            while not store.held:
                await asyncio.sleep(0)

    store.before_discard = begin_to_call
    await until_discarding(gated)
    assert "bob" not in await keys(gated, "line")
    store.release()
    call = await calling[0]
    assert codes([await outcome(ann.call("bob"))]) == ["callee_busy"]
    assert [seen.call_id for seen in (await bob.do(ListCalls())).data] == [call.call_id]


async def test_names_that_are_used_and_discarded_all_the_time_never_lose_a_room(tmp_path: Path) -> None:
    """Everything is over at once, and the engine cleans up all the time."""
    async with a_world(tmp_path / "engine.db", ended_retention=1.0, ticket_ttl=1.0, prune_interval=0.5) as world:
        names = [f"room-{number}" for number in range(6)]
        places: dict[str, list[tuple[str, int]]] = {name: [] for name in names}

        async def use(name: str, rounds: int) -> None:
            create = CreateRoom(room=name, type=AUDIO_ROOM)
            for _ in range(rounds):
                await world.server_does(create)
                await world.server_does(LockSeat(room=name, index=0))
                seen = await world.server_does(GetRoom(room=name))
                assert seen.room.grid.seats[0].locked
                places[name].append((seen.epoch, seen.offset))
                await world.server_does(EndRoom(room=name))
                await world.clock.sleep(0.5 + names.index(name) * 0.25)

        await within(asyncio.gather(*(use(name, 12) for name in names)), 60.0, clock=world.clock)
        for name in names:
            assert len(set(places[name])) == 12, "no place was taken twice"
        assert any(len({epoch for epoch, _ in places[name]}) > 1 for name in names), "some were discarded in between"
        await world.advance(5)
        assert await keys(world, "room") == []


async def test_an_engine_that_still_remembers_a_room_which_another_one_discarded_and_made_anew_does_not_overwrite_it(
    tmp_path: Path,
) -> None:
    """Version and offset of the new one are those of the old one; the epoch is not."""
    async with a_world(tmp_path / "engine.db", ended_retention=None) as world:
        old = await an_ended_room(world, events=1)
        async with a_world(tmp_path / "engine.db") as other:
            await other.clock.advance(world.clock.now() - other.clock.now() + KEPT + 2 * PRUNED_EVERY)
            await an_ended_room(other, events=1)
            row = await store_of(other).load("room", ROOM)
            assert row is not None
            assert row.version == old.room.version
            await world.server_does(CREATE)
            head = await store_of(other).head(CHANNEL)
            assert head.offset == old.offset + 1
            assert head.epoch != old.epoch


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("broken", ["close_room", "list_rooms"])
async def test_a_room_whose_media_room_cannot_be_closed_is_kept_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarted: bool, broken: str
) -> None:
    """Where it cannot even be asked which rooms there are, an engine that was started anew knows nothing of it."""
    async with a_world(tmp_path / "engine.db") as world:
        control = type(world.media.control)
        original, works = {name: getattr(control, name) for name in ("close_room", "list_rooms")}, False

        async def maybe(self: Any, *arguments: Any, name: str) -> Any:
            if works or name not in ("close_room", broken):
                return await original[name](self, *arguments)
            raise MediaError("the media server is down")

        for name in original:
            monkeypatch.setattr(control, name, partialmethod(maybe, name=name))
        host = await world.room()
        await host.do(EndRoom(room=ROOM))
        if restarted:
            await world.restart()
        await world.advance(KEPT + 2 * PRUNED_EVERY)
        assert await keys(world, "room") == [ROOM]
        assert ROOM in world.server.rooms
        works = True
        await world.advance(2 * PRUNED_EVERY)
        assert await keys(world, "room") == []
        assert ROOM not in world.server.rooms


async def test_commits_go_on_while_a_great_many_are_discarded(gated: World, store: GatedStore) -> None:
    for number in range(130):
        await gated.server_does(CreateRoom(room=f"room-{number:03}", type=AUDIO_ROOM))
        await gated.server_does(EndRoom(room=f"room-{number:03}"))
    steps: list[int] = []
    between: list[int] = []

    async def count(remains: Sequence[Remains]) -> None:
        steps.append(len(remains))
        if len(steps) == 3:
            await gated.server_does(CREATE)
            between.append(len(steps))

    store.before_discard = count
    await until_discarding(gated)
    assert sum(steps) == 130
    assert max(steps) <= 20
    assert between == [3]
    assert await keys(gated, "room") == [ROOM]


async def test_a_discard_that_fails_is_tried_again_at_the_next_turn(gated: World, store: GatedStore) -> None:
    await an_ended_room(gated)
    failed: list[int] = []

    async def fail(remains: Sequence[Remains]) -> None:
        failed.append(len(remains))
        if len(failed) < 3:
            raise StoreFailed("no")

    store.before_discard = fail
    await gated.advance(KEPT + 2 * PRUNED_EVERY)
    await gated.advance(5 * PRUNED_EVERY)
    assert len(failed) == 3
    assert await keys(gated, "room") == []
