"""The event loop is never blocked, not even by a store on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from utd_core.engine import Engine
from utd_core.model.command import Actor
from utd_core.model.commands import EndCall, EndRoom, JoinRoom, LeaveSeat, ListRooms, StartCall, TakeSeat
from utd_core.model.stream_type import UTDStreamType


@pytest.mark.no_blocking_calls
async def test_an_engine_on_a_file_never_blocks_the_loop(tmp_path: Path) -> None:
    ann = Actor("ann")
    for start in range(2):
        async with Engine("mock", store=tmp_path / "engine.db") as engine:
            await engine.execute(JoinRoom(room="room", type=UTDStreamType.AUDIO_ROOM, as_host=True), actor=ann)
            await engine.execute(TakeSeat(room="room"), actor=ann, idempotency_key=f"key-{start}")
            await engine.execute(LeaveSeat(room="room"), actor=ann)
            await engine.subscribe("private-room.room", actor=ann)
            call = await engine.execute(StartCall(type=UTDStreamType.AUDIO_CALL, callee="bob"), actor=ann)
            await engine.execute(EndCall(id=call.call_id), actor=ann)
            await engine.execute(ListRooms())
            await engine.execute(EndRoom(room="room"), actor=ann)
