"""Rooms and streams on a backend that connects two: they work for two, and the third hears what to do instead."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.client.conftest import way  # noqa: F401  # a fixture
from tests.client.world import ROOM, Way, now
from utd_core.client import UTDAudioRoomSession, UTDLiveStreamSession
from utd_core.errors import ConnectFailed
from utd_core.model.session import SessionState

from .calls import P2PWorld


@pytest.fixture
async def world(way: Way) -> AsyncIterator[P2PWorld]:  # noqa: F811  # the fixture
    async with P2PWorld(way) as world:
        yield world


async def join(
    world: P2PWorld, kind: str, identity: str, *, as_host: bool = False
) -> UTDAudioRoomSession | UTDLiveStreamSession:
    if kind == "audio_room":
        return await world.audio_room(identity, as_host=as_host)
    return await world.live_stream(identity, as_host=as_host)


@pytest.mark.parametrize("kind", ["audio_room", "live_stream"])
async def test_a_third_in_a_room_is_told_what_to_do_and_disturbs_nobody(world: P2PWorld, kind: str) -> None:
    host = await join(world, kind, "host", as_host=True)
    guest = await join(world, kind, "guest")
    with pytest.raises(ConnectFailed, match=r"2 participants.*backend with a media server") as caught:
        await join(world, kind, "third")
    assert caught.value.details["reason"] == "room_full"
    await world.until(lambda: world.engine.statistics().participants == 2, what="the third out of the room")
    for session, other in ((host, "guest"), (guest, "host")):
        assert now(session.state) is SessionState.CONNECTED
        assert [person.identity for person in now(session.remote_participants)] == [other]
    stays = world.backend.board.rooms[ROOM].stays
    assert set(stays) == {"host", "guest"}
    await world.run(guest.leave())
    await world.until(lambda: set(stays) == {"host"}, what="room for another one")
    await join(world, kind, "third")
