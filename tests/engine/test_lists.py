from __future__ import annotations

from typing import Any

import pytest

from utd_core.model.commands import CreateRoom, EndRoom, GoLive, ListRooms
from utd_core.model.results import Page, RoomSummary
from utd_core.model.room import Phase
from utd_core.model.stream_type import UTDStreamType

from .world import World

AUDIO_ROOM, LIVE_STREAM = UTDStreamType.AUDIO_ROOM, UTDStreamType.LIVE_STREAM


async def names(world: World, **filters: Any) -> list[str]:
    """All pages of a list, by following its cursors."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await world.person("anybody").do(ListRooms(cursor=cursor, **filters))
        assert isinstance(page, Page)
        found += [room.name for room in page.data]
        cursor = page.next
        if cursor is None:
            return found


async def test_rooms_are_listed_by_name_in_pages_without_the_ended(world: World) -> None:
    for number in range(25):
        await world.server_does(CreateRoom(room=f"room-{number:02}", type=AUDIO_ROOM, metadata={"number": number}))
    await world.server_does(EndRoom(room="room-07"))
    page = await world.server_does(ListRooms(limit=5))
    assert isinstance(page.data[0], RoomSummary)
    assert [room.metadata["number"] for room in page.data] == [0, 1, 2, 3, 4]
    everything = [f"room-{number:02}" for number in range(25) if number != 7]
    for limit in (1, 5, 12, 24, 100):
        assert await names(world, limit=limit) == everything


@pytest.mark.parity("S6")
async def test_rooms_are_filtered_by_type_and_phase(world: World) -> None:
    for number in range(12):
        await world.server_does(
            CreateRoom(
                room=f"room-{number:02}", type=LIVE_STREAM if number % 2 else AUDIO_ROOM, backstage=number % 3 == 0
            )
        )
    await world.server_does(GoLive(room="room-03"))
    assert await names(world, type=LIVE_STREAM) == [f"room-{n:02}" for n in range(1, 12, 2)]
    assert await names(world, phase=Phase.BACKSTAGE, limit=1) == ["room-00", "room-06", "room-09"]
    assert await names(world, phase=Phase.BACKSTAGE, type=AUDIO_ROOM) == ["room-00", "room-06"]


async def test_a_filter_that_matches_little_is_followed_through_many_rooms(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from utd_core.engine import views

    monkeypatch.setattr(views, "_SCAN", 4)
    monkeypatch.setattr(views, "_MOST_SCANS", 2)
    for number in range(50):
        kind = LIVE_STREAM if number in (3, 44) else AUDIO_ROOM
        await world.server_does(CreateRoom(room=f"room-{number:02}", type=kind))
    assert await names(world, type=LIVE_STREAM) == ["room-03", "room-44"]


async def test_a_list_counts_who_is_there(world: World) -> None:
    await world.room()
    await world.guest("guest")
    page = await world.server_does(ListRooms())
    assert page.data[0].participants == 2
