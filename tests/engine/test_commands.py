from __future__ import annotations

import asyncio

import pytest

from utd_core.engine import Engine
from utd_core.engine.routes import ROUTES
from utd_core.errors import Closed, Conflict, Forbidden, InvalidInput, NotFound, RateLimited, UTDStreamException
from utd_core.model.command import COMMANDS, THE_SERVER, Actor, Command
from utd_core.model.commands import (
    CreateRoom,
    CreateSession,
    EndRoom,
    GetRoom,
    GetSeats,
    JoinRoom,
    LeaveSeat,
    LockSeat,
    SetupSeats,
    TakeSeat,
    UpdateMetadata,
)
from utd_core.model.results import RoomSnapshot, UserSession
from utd_core.model.roles import Role
from utd_core.model.seats import Seat, SeatGrid, SeatMode
from utd_core.model.stream_type import UTDStreamType

from .world import ROOM, GatedStore, World, codes, outcome, outcomes

AUDIO_ROOM = UTDStreamType.AUDIO_ROOM


async def test_a_room_is_made_joined_and_used(world: World) -> None:
    host = await world.room(seat_count=4, seat_mode=SeatMode.FREE)
    assert host.ticket is not None
    assert host.ticket.role is Role.OWNER
    assert host.ticket.backend == "mock"
    guest = await world.guest("guest")
    seat = await guest.do(TakeSeat(room=ROOM, index=2))
    assert seat == Seat(2, "guest")
    assert (await world.state()).grid.seat_of("guest") == seat
    assert await guest.do(LeaveSeat(room=ROOM)) is None
    assert isinstance(await guest.do(GetSeats(room=ROOM)), SeatGrid)


async def test_the_answer_to_a_command_is_what_its_declaration_says(world: World) -> None:
    await world.room()
    assert await world.server_does(UpdateMetadata(room=ROOM, metadata={"topic": "x"})) == 1
    snapshot = await world.server_does(GetRoom(room=ROOM))
    assert isinstance(snapshot, RoomSnapshot)
    assert snapshot.room.metadata == {"topic": "x"}
    assert snapshot.participants == 1


async def test_every_command_of_the_table_is_routed() -> None:
    assert set(ROUTES) == set(COMMANDS.values())


async def test_a_command_that_is_none_of_the_engines_is_refused(world: World) -> None:
    class Strange(Command):
        pass

    with pytest.raises(InvalidInput, match="Strange"):
        await world.engine.execute(Strange())


async def test_an_unknown_room_is_not_found_and_not_made(world: World) -> None:
    with pytest.raises(NotFound):
        await world.server_does(GetRoom(room="nowhere"))
    with pytest.raises(NotFound):
        await world.person("ann").join("nowhere")
    with pytest.raises(NotFound):
        await world.server_does(EndRoom(room="nowhere"))


async def test_a_refused_command_changes_nothing(world: World) -> None:
    host = await world.room()
    before = await world.server_does(GetRoom(room=ROOM))
    for command_given in (TakeSeat(room=ROOM, index=50), LeaveSeat(room=ROOM)):
        assert isinstance(await outcome(host.do(command_given)), UTDStreamException)
    assert await world.server_does(GetRoom(room=ROOM)) == before


async def test_a_snapshot_is_the_callers_own(world: World) -> None:
    await world.room()
    snapshot = await world.server_does(GetRoom(room=ROOM))
    snapshot.room.roles.clear()
    snapshot.room.metadata["mine"] = 1
    after = await world.state()
    assert after.roles
    assert not after.metadata


async def test_the_name_of_an_ended_room_is_free(world: World) -> None:
    await world.room(seat_count=2)
    await world.server_does(EndRoom(room=ROOM))
    with pytest.raises(Conflict):
        await world.guest("guest")
    await world.room("other", seat_count=5)
    state = await world.state()
    assert state.roles == {"other": Role.OWNER}
    assert len(state.grid.seats) == 5
    assert await world.count() == 1


async def test_a_user_joins_only_as_itself(world: World) -> None:
    await world.room()
    ann = world.person("ann")
    with pytest.raises(Forbidden):
        await ann.do(JoinRoom(room=ROOM, type=AUDIO_ROOM, identity="bob"))
    await ann.do(JoinRoom(room=ROOM, type=AUDIO_ROOM, identity="ann"))
    assert await world.count() == 2


async def test_the_server_joins_for_others_and_must_say_for_whom(world: World) -> None:
    await world.room()
    await world.server_does(JoinRoom(room=ROOM, type=AUDIO_ROOM, identity="bob", name="Bob", device_id="tv"))
    assert world.engine.actor_of((await world.person("bob", "tv").join(connect=False)).user_token) == Actor(
        "bob", "tv", "Bob"
    )
    with pytest.raises(InvalidInput):
        await world.server_does(JoinRoom(room=ROOM, type=AUDIO_ROOM))


async def test_only_the_server_names_an_owner(world: World) -> None:
    await world.server_does(CreateRoom(room="a", type=AUDIO_ROOM, owner="ann"))
    assert (await world.state("a")).roles == {"ann": Role.OWNER}
    with pytest.raises(Forbidden):
        await world.person("eve").do(CreateRoom(room="b", type=AUDIO_ROOM, owner="ann"))


@pytest.mark.parity("U3")
async def test_a_session_is_minted_by_the_server_or_for_oneself(world: World) -> None:
    session = await world.server_does(CreateSession(identity="ann", name="Ann", device_id="phone"))
    assert isinstance(session, UserSession)
    assert world.engine.actor_of(session.user_token) == Actor("ann", "phone", "Ann")
    await world.person("ann").do(CreateSession(identity="ann"))
    with pytest.raises(Forbidden):
        await world.person("eve").do(CreateSession(identity="ann"))


async def test_a_device_that_is_not_named_is_the_actors(world: World) -> None:
    await world.room()
    phone = world.person("ann", "phone")
    ticket = await phone.join()
    assert world.engine.actor_of(ticket.user_token).device == "phone"


@pytest.mark.parametrize("name", ["call:", "call:e5", "call:anything at all"])
async def test_no_room_can_pass_for_the_media_room_of_a_call(world: World, name: str) -> None:
    with pytest.raises(InvalidInput):
        await world.person("eve").join(name, as_host=True)


async def test_one_refused_command_of_many_fails_only_its_caller(world: World) -> None:
    await world.room(seat_count=3)
    people = [await world.guest(f"guest-{number}", connect=False) for number in range(5)]
    results = await outcomes(*(person.do(TakeSeat(room=ROOM)) for person in people))
    assert codes(results) == ["ok"] * 3 + ["no_free_seat"] * 2
    assert len((await world.state()).grid.occupants()) == 3


async def test_all_that_wait_go_into_one_transaction(gated: World, store: GatedStore) -> None:
    await gated.room(seat_count=50)
    people = [await gated.guest(f"guest-{number}", connect=False) for number in range(20)]
    store.hold()
    first = asyncio.ensure_future(people[0].do(TakeSeat(room=ROOM)))
    await gated.settle()
    rest = [asyncio.ensure_future(person.do(TakeSeat(room=ROOM))) for person in people[1:]]
    await gated.settle()
    made = len(store.commits)
    store.release()
    await asyncio.gather(first, *rest)
    assert len(store.commits) == made + 2
    assert len(store.commits[-1].events) == 19


async def test_rooms_share_a_transaction_and_keep_their_own_order(gated: World, store: GatedStore) -> None:
    rooms = [f"room-{number}" for number in range(10)]
    hosts = [await gated.room(f"host-{room}", room, connect=False) for room in rooms]
    store.hold()
    plug = asyncio.ensure_future(hosts[0].do(TakeSeat(room=rooms[0])))
    await gated.settle()
    takes = [asyncio.ensure_future(hosts[n].do(TakeSeat(room=rooms[n]))) for n in range(1, 10)]
    await gated.settle()
    made = len(store.commits)
    store.release()
    await asyncio.gather(plug, *takes)
    assert len(store.commits) == made + 2
    for room in rooms:
        snapshot = await gated.server_does(GetRoom(room=room))
        assert snapshot.offset == snapshot.room.version


async def test_a_cancelled_caller_does_not_undo_its_command(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    store.hold()
    caller = asyncio.ensure_future(host.do(TakeSeat(room=ROOM, index=1)))
    await gated.settle()
    caller.cancel()
    await gated.settle()
    assert caller.cancelled()
    store.release()
    await gated.settle()
    assert (await gated.state()).grid.seat_of("host") == Seat(1, "host")


async def test_a_query_sees_only_what_is_committed(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    store.hold()
    take = asyncio.ensure_future(host.do(TakeSeat(room=ROOM, index=1)))
    await gated.settle()
    query = asyncio.ensure_future(host.do(GetSeats(room=ROOM)))
    await gated.settle()
    assert not query.done()
    store.release()
    await take
    assert (await query).seats[1].identity == "host"


async def test_a_full_queue_refuses_one_more_and_loses_nothing(store: GatedStore) -> None:
    async with World(store, queue_capacity=5) as world:
        host = await world.room()
        store.hold()
        plug = asyncio.ensure_future(host.do(TakeSeat(room=ROOM)))
        await world.settle()
        waiting = [asyncio.ensure_future(outcome(host.do(LockSeat(room=ROOM, index=n)))) for n in range(1, 8)]
        await world.settle()
        assert world.engine.statistics().waiting == 5
        store.release()
        await plug
        results = await asyncio.gather(*waiting)
        assert codes(results) == ["ok"] * 5 + ["rate_limited"] * 2
        assert isinstance(results[-1], RateLimited)
        assert results[-1].is_rate_limited
        assert sum(seat.locked for seat in (await world.state()).grid.seats) == 5


async def test_more_commands_than_one_transaction_holds_are_all_done(store: GatedStore) -> None:
    async with World(store, batch_limit=3) as world:
        host = await world.room(seat_count=20)
        before = len(store.commits)
        await asyncio.gather(*(host.do(LockSeat(room=ROOM, index=number)) for number in range(10)))
        assert len(store.commits) == before + 4
        assert [len(commit.events) for commit in store.commits[before:]] == [3, 3, 3, 1]


async def test_idle_rooms_leave_memory_and_come_back_as_they_were(store: GatedStore) -> None:
    async with World(store, resident_limit=4) as world:
        for number in range(12):
            await world.server_does(CreateRoom(room=f"room-{number}", type=AUDIO_ROOM, seat_count=number + 1))
        assert world.engine.statistics().resident <= 5
        for number in range(12):
            assert len((await world.state(f"room-{number}")).grid.seats) == number + 1
        await world.server_does(SetupSeats(room="room-0", seat_count=7))
        for number in range(1, 12):
            await world.state(f"room-{number}")
        assert len((await world.state("room-0")).grid.seats) == 7


async def test_people_stay_in_a_room_that_left_memory(store: GatedStore) -> None:
    async with World(store, resident_limit=2) as world:
        host = await world.room()
        for number in range(6):
            await world.server_does(CreateRoom(room=f"room-{number}", type=AUDIO_ROOM))
        await host.do(TakeSeat(room=ROOM))
        await world.settle()
        assert host.may_speak()
        assert await world.count() == 1


async def test_an_engine_is_used_only_while_it_is_open() -> None:
    engine = Engine("mock")
    with pytest.raises(Closed):
        await engine.execute(GetRoom(room=ROOM))
    with pytest.raises(Closed):
        engine.statistics()
    with pytest.raises(Closed):
        _ = engine.backend
    async with engine:
        with pytest.raises(NotFound):
            await engine.execute(GetRoom(room=ROOM), actor=THE_SERVER)
    with pytest.raises(Closed):
        await engine.execute(GetRoom(room=ROOM))
    with pytest.raises(Closed):
        async with engine:
            pass
