"""Rooms that the server has lost without a word are told of: once, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from utd_core.errors import MediaError
from utd_core.testing import VirtualClock
from utd_livekit.vigil import INTERVAL, Vigil


class Server:
    """Has `rooms`; answers as long as it is `up`. `asked`: how often for one room, and for all."""

    def __init__(self, *rooms: str) -> None:
        self.rooms = set(rooms)
        self.up = True
        self.asked = [0, 0]

    async def list_rooms(self, among: Collection[str] | None) -> Collection[str]:
        if not self.up:
            raise MediaError("nobody is there")
        self.asked[among is None] += 1
        return self.rooms if among is None else self.rooms & set(among)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


async def pass_looks(clock: VirtualClock, count: int) -> None:
    for _ in range(count):
        await clock.advance(INTERVAL)
        await clock.settle()


async def test_a_server_that_was_started_anew_has_lost_all_rooms_and_each_is_told_once(clock: VirtualClock) -> None:
    server, lost = Server("a", "b", "c"), list[str]()
    async with Vigil(clock, server.list_rooms, lost.append) as vigil:
        for room in ("a", "b", "c"):
            await vigil.begin(room)
        await pass_looks(clock, 3)
        assert (server.asked, lost) == ([3, 0], [])
        server.up, server.rooms = False, set()
        await pass_looks(clock, 2)
        assert lost == []
        server.up = True
        await pass_looks(clock, 3)
        assert lost == ["a", "b", "c"]


async def test_only_the_room_that_is_lost_is_told(clock: VirtualClock) -> None:
    server, lost = Server("b"), list[str]()
    async with Vigil(clock, server.list_rooms, lost.append) as vigil:
        for room in ("a", "b"):
            await vigil.begin(room)
        await pass_looks(clock, 2)
        assert lost == ["a"]


async def test_a_first_room_whose_maker_is_cancelled_leaves_the_watch_to_the_next(clock: VirtualClock) -> None:
    lost = list[str]()
    async with Vigil(clock, Server().list_rooms, lost.append) as vigil:
        first = asyncio.create_task(vigil.begin("a"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        await vigil.begin("b")
        await pass_looks(clock, 3)
        assert lost == ["a", "b"]


async def test_a_room_that_is_closed_while_the_server_answers_is_not_told(clock: VirtualClock) -> None:
    server, lost = Server(), list[str]()
    vigil = Vigil(clock, server.list_rooms, lost.append)

    async def close_meanwhile(among: Collection[str] | None) -> Collection[str]:
        if among is None:
            vigil.end("a")
        return await server.list_rooms(among)

    vigil._list_rooms = close_meanwhile
    async with vigil:
        await vigil.begin("a")
        await pass_looks(clock, 2)
        assert lost == []
        assert server.asked == [1, 1], "nobody is asked about no rooms"
