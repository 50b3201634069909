"""Closing at any moment, from any task, twice: callers are told, and nothing remains (see also the leak check)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from utd_core.engine import Engine
from utd_core.engine.machinery import Machinery
from utd_core.errors import BackendNotFound, Closed, MediaError, StoreFailed, UTDStreamException
from utd_core.media.backend import JoinTicket
from utd_core.media.events import ConnectionState
from utd_core.model.commands import GetRoom, ListRooms, LockSeat, StartCall, TakeSeat
from utd_core.model.stream_type import UTDStreamType
from utd_core.store import open_store
from utd_core.testing.leaks import Snapshot, assert_no_leaks
from utd_mock import MockBackend

from .world import ROOM, GatedStore, Person, World, codes, outcome, outcomes


async def test_closing_is_idempotent_and_final() -> None:
    world = World()
    async with world:
        host = await world.room()
        await world.engine.aclose()
        await world.engine.aclose()
        results = await outcomes(
            host.do(TakeSeat(room=ROOM)),
            host.do(GetRoom(room=ROOM)),
            host.do(ListRooms()),
            host.join(),
            world.engine.subscribe("private-room.room"),
        )
        assert codes(results) == ["closed"] * 5
        with pytest.raises(Closed):
            _ = world.engine.backend


async def test_an_engine_that_was_never_opened_can_be_closed() -> None:
    engine = Engine("mock")
    await engine.aclose()
    with pytest.raises(Closed):
        await engine.__aenter__()


async def test_closing_ends_what_the_engine_made_and_leaves_what_it_was_given(tmp_path: Path) -> None:
    store = open_store(tmp_path / "engine.db")
    backend = MockBackend()
    async with Engine(backend, store=store) as engine:
        assert engine.backend is backend
    assert await store.load("room", ROOM) is None, "still open"
    assert await backend.control.list_rooms() == []
    await store.aclose()
    await backend.aclose()
    async with Engine("mock", store=tmp_path / "engine.db") as engine:
        made = engine.backend
        control = made.control
    with pytest.raises(Closed):
        await control.list_rooms()


async def test_subscriptions_end_with_the_engine(world: World) -> None:
    host = await world.room()
    mine, servers = await host.follow("private-room.room"), await world.engine.subscribe("private-user.host")
    reader = asyncio.ensure_future(mine.events.get())
    await world.settle()
    await world.stop()
    with pytest.raises(Closed):
        await reader
    assert servers.events.closed


async def test_callers_that_wait_are_told_and_the_transaction_under_way_holds(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    store.hold()
    first = asyncio.ensure_future(outcome(host.do(TakeSeat(room=ROOM))))
    await gated.settle()
    waiting = [asyncio.ensure_future(outcome(host.do(LockSeat(room=ROOM, index=n)))) for n in range(1, 4)]
    query = asyncio.ensure_future(outcome(host.do(GetRoom(room=ROOM))))
    await gated.settle()
    closing = asyncio.ensure_future(gated.stop())
    await gated.settle()
    assert codes(await asyncio.gather(*waiting, query)) == ["closed"] * 4
    assert not closing.done()
    store.release()
    await closing
    assert codes([await first]) == ["ok"]
    await gated.start()
    assert (await gated.state()).grid.seats[0].identity == "host"
    assert not any(seat.locked for seat in (await gated.state()).grid.seats)


async def test_a_transaction_that_never_ends_is_waited_for_only_so_long(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    store.hold()
    caller = asyncio.ensure_future(outcome(host.do(TakeSeat(room=ROOM))))
    await gated.settle()
    closing = asyncio.ensure_future(gated.stop())
    await gated.advance(4.9)
    assert not closing.done()
    await gated.advance(0.2)
    await closing
    assert codes([await caller]) == ["closed"]


async def test_several_tasks_may_close_at_once(gated: World, store: GatedStore) -> None:
    host = await gated.room()
    store.hold()
    caller = asyncio.ensure_future(outcome(host.do(TakeSeat(room=ROOM))))
    await gated.settle()
    closers = [asyncio.ensure_future(gated.stop()) for _ in range(3)]
    await gated.settle()
    closers[0].cancel()
    store.release()
    await asyncio.gather(*closers[1:])
    assert codes([await caller]) == ["ok"]
    assert closers[0].cancelled()


async def test_a_conflict_while_closing_tells_the_caller(gated: World, store: GatedStore) -> None:
    from utd_core.errors import Conflict

    host = await gated.room()
    store.hold()
    caller = asyncio.ensure_future(outcome(host.do(TakeSeat(room=ROOM))))
    await gated.settle()
    closing = asyncio.ensure_future(gated.stop())
    await gated.settle()
    store.failures = [Conflict("somebody was faster")]
    store.release()
    await closing
    assert codes([await caller]) == ["closed"]


async def test_closing_while_a_ticket_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.room()
    control = type(world.engine.backend.control)

    async def never(*args: object, **named: object) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(control, "issue_join", never)
    calls = [
        asyncio.ensure_future(outcome(world.person("ann").join(connect=False))),
        asyncio.ensure_future(outcome(world.person("bob").do(StartCall(type=UTDStreamType.AUDIO_CALL, callee="eve")))),
    ]
    await world.settle()
    assert not any(call.done() for call in calls)
    await world.stop()
    assert codes(await asyncio.gather(*calls)) == ["closed"] * 2


async def test_closing_while_the_backend_does_not_answer_a_grant(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    host = await world.room()
    control = type(world.engine.backend.control)

    async def never(*args: object) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(control, "apply_grant", never)
    await host.do(TakeSeat(room=ROOM))
    await world.settle()
    await world.stop()


async def test_closing_from_within_a_command_of_ones_own(world: World) -> None:
    """A caller that closes the engine as soon as it has its answer, while others wait for theirs."""
    host = await world.room()

    async def take_and_close() -> None:
        await host.do(TakeSeat(room=ROOM))
        await world.stop()

    others = [asyncio.ensure_future(outcome(host.do(LockSeat(room=ROOM, index=n)))) for n in range(1, 8)]
    await take_and_close()
    assert set(codes(await asyncio.gather(*others))) <= {"ok", "closed"}


def _scenario(world: World) -> Callable[[], Awaitable[Any]]:
    async def connect(person: Person) -> None:
        ticket = person.ticket
        assert ticket is not None
        await world.media.connect(JoinTicket(ticket.url, ticket.token, ticket.expires_at))

    async def run() -> None:
        host, guest = world.person("host"), world.person("guest")
        await host.join(as_host=True, connect=False)
        await connect(host)
        await guest.join(connect=False)
        await connect(guest)
        await guest.follow("private-room.room")
        await guest.do(TakeSeat(room=ROOM), "key")
        call = await host.call("guest")
        await connect(host)
        await guest.accept(call.call_id)
        await connect(guest)
        await guest.leave()

    return run


async def _turns(function: Callable[[], Awaitable[Any]], count: int) -> asyncio.Future[Any]:
    task = asyncio.ensure_future(outcome(function()))
    for _ in range(count):
        if task.done():
            break
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("block", range(8))
async def test_close_at_every_await_point(block: int) -> None:
    """The engine is closed after 0, 1, 2, ... turns of the loop; whoever waits gets an answer or `Closed`."""
    longest = 400
    for turns in range(block, longest, 8):
        before = Snapshot.take()
        async with World() as world:
            task = await _turns(_scenario(world), turns)
            finished = task.done()
            await world.engine.aclose()
            result = await asyncio.wait_for(task, 5)
            assert finished or result is None or isinstance(result, UTDStreamException), result
            if not finished and result is not None:
                assert result.code in ("closed", "connect_failed", "connection_lost", "media_failed"), result
        await assert_no_leaks(before)
        if finished:
            return
    raise AssertionError(f"the scenario takes more than {longest} turns; look at more of them")


@pytest.mark.parametrize("turns", [*range(40), 60, 100])
async def test_close_while_it_opens(turns: int, tmp_path: Path) -> None:
    before = Snapshot.take()
    engine = Engine("mock", store=tmp_path / "engine.db" if turns % 2 else None)
    task = await _turns(engine.__aenter__, turns)
    await engine.aclose()
    await asyncio.wait([task])
    await engine.aclose()
    with pytest.raises(Closed):
        await engine.execute(ListRooms())
    await assert_no_leaks(before)


@pytest.mark.parametrize("turns", [*range(1, 40), 60, 100])
async def test_cancel_while_it_opens(turns: int, tmp_path: Path) -> None:
    before = Snapshot.take()
    engine = Engine("mock", store=tmp_path / "engine.db" if turns % 2 else None)
    task = await _turns(engine.__aenter__, turns)
    task.cancel()
    await asyncio.wait([task])
    await engine.aclose()
    await assert_no_leaks(before)


async def test_cancel_by_a_scope_while_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scope of anyio cancels every await in it, also those of a clean-up that does not mind."""
    before, nearly = Snapshot.take(), asyncio.Event()
    whole = Machinery.open

    async def never_ends(machinery: Machinery) -> None:
        await whole(machinery)
        nearly.set()
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(Machinery, "open", never_ends)
    async with anyio.create_task_group() as group:
        group.start_soon(Engine("mock").__aenter__)
        await nearly.wait()
        group.cancel_scope.cancel()
    await assert_no_leaks(before)


async def test_an_unknown_backend_leaves_nothing_behind() -> None:
    with pytest.raises(BackendNotFound):
        async with Engine("no-such-backend"):
            pass


async def test_a_store_that_does_not_open_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "engine.db").write_bytes(b"this is no database, not even a small one" * 100)
    with pytest.raises(StoreFailed):
        async with Engine("mock", store=tmp_path / "engine.db"):
            pass


async def test_a_store_that_fails_while_opening_leaves_nothing_behind(
    store: GatedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: object, **named: object) -> None:
        raise StoreFailed("no")

    for method in ("commit", "load", "states"):
        with monkeypatch.context() as patched:
            patched.setattr(store, method, fail)
            with pytest.raises(StoreFailed):
                async with Engine("mock", store=store):
                    pass
    async with Engine("mock", store=store):
        pass


async def test_a_backend_without_a_server_side_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from utd_core.errors import Unsupported

    backend = MockBackend()

    def control(self: object) -> None:
        raise Unsupported("this backend has no server side")

    with monkeypatch.context() as patched:
        patched.setattr(MockBackend, "control", property(control))
        with pytest.raises(MediaError):
            async with Engine(backend):
                pass
    await backend.aclose()


async def test_an_error_inside_the_block_closes_the_engine() -> None:
    world = World()
    host = world.person("host")

    async def fail() -> None:
        async with world:
            await host.join(as_host=True)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert host.connection is not None
    assert host.connection.state is ConnectionState.DISCONNECTED
