"""Two engines on one database: nothing is lost, nothing is done twice. (On a file, which is not how it is meant.)"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from utd_core.engine import Engine
from utd_core.errors import UTDStreamException
from utd_core.model.call import UTDCallStatus
from utd_core.model.command import THE_SERVER, Actor, Command
from utd_core.model.commands import CreateRoom, EndCall, GetCall, GetRoom, JoinRoom, LockSeat, StartCall, TakeSeat
from utd_core.model.stream_type import UTDStreamType

from .conftest import MakeWorld
from .world import ROOM, World, codes, outcome, outcomes

AUDIO_ROOM = UTDStreamType.AUDIO_ROOM


@pytest.fixture(params=["file", "postgresql"])
async def world(request: pytest.FixtureRequest, world_on: MakeWorld) -> World:
    """An engine on what the second one is on too."""
    return await world_on(request.param)


@pytest.fixture
async def other(world: World) -> AsyncIterator[Engine]:
    """A second engine, on the same database."""
    async with world.make_engine() as engine:
        yield engine


async def test_commands_of_both_are_all_done_once(world: World, other: Engine) -> None:
    await world.server_does(CreateRoom(room=ROOM, type=AUDIO_ROOM, seat_count=40))
    locks: list[Command] = [LockSeat(room=ROOM, index=number) for number in range(40)]
    results = await outcomes(
        *((world.engine if number % 2 else other).execute(lock) for number, lock in enumerate(locks))
    )
    again = [lock for lock, result in zip(locks, results, strict=True) if isinstance(result, UTDStreamException)]
    assert set(codes(results)) <= {"ok", "store_failed"}
    for lock in again:
        await world.engine.execute(lock)
    for engine in (world.engine, other):
        await outcome(engine.execute(LockSeat(room=ROOM, index=0, take=False, audio=True)))
        snapshot = await engine.execute(GetRoom(room=ROOM))
        assert all(seat.locked for seat in snapshot.room.grid.seats)
        assert snapshot.offset == snapshot.room.version


async def test_one_seat_is_given_once(world: World, other: Engine) -> None:
    await world.server_does(CreateRoom(room=ROOM, type=AUDIO_ROOM))
    people = {engine: Actor(f"guest-{number}") for number, engine in enumerate((world.engine, other))}
    for engine, actor in people.items():
        await engine.execute(JoinRoom(room=ROOM, type=AUDIO_ROOM), actor=actor)
    results = await outcomes(
        *(engine.execute(TakeSeat(room=ROOM, index=1), actor=actor) for engine, actor in people.items())
    )
    assert sorted(codes(results)) == ["ok", "seat_taken"]


async def test_one_callee_is_in_one_call(world: World, other: Engine) -> None:
    start = StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob")
    for _ in range(5):
        results = await outcomes(
            world.engine.execute(start, actor=Actor("ann")), other.execute(start, actor=Actor("eve"))
        )
        assert sorted(codes(results)) == ["callee_busy", "ok"]
        call = next(result for result in results if not isinstance(result, UTDStreamException))
        for engine in (world.engine, other):
            assert codes([await outcome(engine.execute(start, actor=Actor("dan")))]) == ["callee_busy"]
        winner = world.engine if results.index(call) == 0 else other
        await winner.execute(EndCall(id=call.call_id), actor=Actor("bob"))


async def test_one_key_is_one_command(world: World, other: Engine) -> None:
    command = CreateRoom(room=ROOM, type=AUDIO_ROOM)
    results = await outcomes(
        *(engine.execute(command, idempotency_key="k") for engine in (world.engine, other) for _ in range(3))
    )
    assert codes(results) == ["ok"] * 6
    assert all(result == results[0] for result in results)


async def test_one_deadline_fires_once(world: World, other: Engine) -> None:
    call = await world.person("ann").call("bob")
    await other.execute(GetCall(id=call.call_id))
    await world.advance(31)
    seen = await other.execute(GetCall(id=call.call_id))
    history = await world.engine._store.history(f"private-call.{call.call_id}", call.epoch, 0, 100)  # type: ignore[union-attr]  # it is open
    assert history is not None
    assert len(history) == 2
    assert UTDCallStatus.MISSED in (
        seen.status,
        (await world.engine.execute(GetCall(id=call.call_id), actor=THE_SERVER)).status,
    )


async def test_tokens_of_one_are_good_at_the_other(world: World, other: Engine) -> None:
    ticket = await world.person("ann").join(as_host=True, connect=False)
    assert other.actor_of(ticket.user_token).identity == "ann"


async def test_two_engines_that_open_a_new_file_at_one_instant_are_both_in_and_agree_on_the_key(tmp_path: Path) -> None:
    join = JoinRoom(room=ROOM, type=AUDIO_ROOM, as_host=True)
    for number in range(10):
        engines = [Engine("mock", store=tmp_path / f"{number}.db") for _ in range(2)]
        results = await outcomes(*(engine.__aenter__() for engine in engines))
        assert codes(results) == ["ok", "ok"]
        token = (await engines[0].execute(join, actor=Actor("ann"))).user_token
        assert engines[1].actor_of(token).identity == "ann"
        await asyncio.gather(*(engine.aclose() for engine in engines))


PROCESS = """
import asyncio, sys
from utd_core.engine import Engine
from utd_core.model.commands import CreateRoom

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    async with Engine("mock", store=sys.argv[1]) as engine:
        await engine.execute(CreateRoom(room=sys.argv[2], type="audio_room"))
    print("done", flush=True)

asyncio.run(main())
"""


def test_engines_of_two_processes_that_open_a_new_file_at_one_instant_are_both_in(tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    path = str(tmp_path / "engine.db")
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, path, room], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for room in ("one", "two")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = [process.communicate("go\n", timeout=60) for process in processes]
    assert [out for out, _ in said] == ["done\n"] * 2, said
