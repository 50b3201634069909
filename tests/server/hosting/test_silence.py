"""Media rooms that are kept empty."""

from __future__ import annotations

import pytest

from utd_core.errors import MediaError
from utd_core.media.backend import MediaControl
from utd_core.server.hosting.silence import INTERVAL, Silence
from utd_core.testing import VirtualClock
from utd_mock import MockBackend


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


async def test_closes_the_rooms_of_its_projects_and_of_no_other(clock: VirtualClock) -> None:
    async with MockBackend({}, clock) as backend:
        rooms = ["lobby", "$shop/lobby", "$shop/call:1", "$shop2/lobby"]
        for room in rooms:
            await backend.control.create_room(room)
        silence = Silence(backend.control, clock)
        await silence.keep()
        assert sorted(await backend.control.list_rooms()) == sorted(rooms)
        silence.begin("shop")
        await silence.keep()
        assert sorted(await backend.control.list_rooms()) == ["$shop2/lobby", "lobby"]
        silence.begin("embedded")
        await silence.keep()
        assert await backend.control.list_rooms() == ["$shop2/lobby"]


async def test_goes_on_for_as_long_as_it_was_told(clock: VirtualClock) -> None:
    async with MockBackend({}, clock) as backend:
        silence = Silence(backend.control, clock)
        silence.begin("once", seconds=0)
        silence.begin("for-a-while", seconds=1.5 * INTERVAL)
        silence.begin("ever")
        silence.begin("ended")
        silence.end("ended")
        left = []
        for _ in range(4):
            for app_id in ("once", "for-a-while", "ever", "ended"):
                await backend.control.create_room(f"${app_id}/lobby")
            await silence.keep()
            left.append({room[1:-6] for room in await backend.control.list_rooms()})
            await clock.advance(INTERVAL)
        assert left[0] == {"ended"}
        assert left[1] == left[2] == {"ended", "once"}
        assert left[3] == {"ended", "once", "for-a-while"}


async def test_a_backend_that_fails_is_asked_again(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MockBackend({}, clock) as backend:
        await backend.control.create_room("$shop/lobby")
        silence = Silence(backend.control, clock)
        silence.begin("shop")

        async def fails(self: MediaControl, room: str) -> None:
            silence.begin("club")
            raise MediaError("away")

        with monkeypatch.context() as patched:
            patched.setattr(type(backend.control), "close_room", fails)
            with pytest.raises(MediaError):
                await silence.keep()
        await silence.keep()
        assert await backend.control.list_rooms() == []
