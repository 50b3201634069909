"""The client's own tests of audio rooms, live streams and calls, unchanged, on LiveKit: every client on the network.

All of them, but for those in `LEFT_OUT`. Sessions on an embedded engine are what the contract plays.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType

import pytest

from tests.client import test_audio_room, test_calls, test_live_stream
from tests.client.world import Way
from utd_core.testing.leaks import Snapshot, assert_no_leaks
from utd_livekit.server.local import LocalServer

from .world import LiveKitWorld

pytestmark = [pytest.mark.heavy, pytest.mark.parity("U12", "U13", "U15")]

WAY: Way = "remote"
LEFT_OUT = {
    "test_the_media_room_of_a_call_holds_two": "looks into the mock; S30 of the contract shows the same",
    "test_cancelling_a_start_at_every_await_point_leaves_no_call_behind": "there are as many await points as requests",
    "test_unanswered_for_the_ring_timeout_it_is_missed_on_both_sides": "leaps to a second before the end of real time",
}
"""Why."""


def _tests_of(module: ModuleType) -> Iterator[tuple[str, Callable[..., object]]]:
    """Its tests, by name."""
    for name, test in vars(module).items():
        if name.startswith("test_") and name not in LEFT_OUT:
            yield name, test


@pytest.fixture(params=[WAY])
def way(request: pytest.FixtureRequest) -> Way:
    """How clients reach their engine."""
    return WAY


for each in (test_audio_room, test_live_stream, test_calls):
    globals().update(_tests_of(each))


@pytest.fixture
async def world(server: LocalServer) -> AsyncIterator[LiveKitWorld]:
    """One engine; afterwards no task, thread or descriptor is left."""
    await asyncio.to_thread(server.start)
    before = Snapshot.take()
    async with LiveKitWorld(WAY, server) as world:
        yield world
    await assert_no_leaks(before, grace=5.0)
