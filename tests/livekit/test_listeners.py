"""Who may publish nothing publishes nothing, of whatever source he says that it is: asked of the server itself."""

from __future__ import annotations

import uuid
from collections.abc import Collection

import pytest

from utd_core.model.permission import Grant, TrackSource
from utd_livekit.backend import LiveKitBackend

from .signalling import SOURCES, Signalling

pytestmark = pytest.mark.heavy

LISTENER, SPEAKER = Grant(), Grant(publish=frozenset({TrackSource.MICROPHONE}))


@pytest.fixture
async def room(backend: LiveKitBackend) -> str:
    name = f"room-{uuid.uuid4().hex[:8]}"
    await backend.control.create_room(name)
    return name


async def allowed(somebody: Signalling) -> Collection[str]:
    return [source for source in SOURCES if await somebody.may_publish(source)]


async def test_a_ticket_without_a_source_and_what_the_server_makes_of_it_let_nothing_through(
    backend: LiveKitBackend, room: str
) -> None:
    first = await backend.control.issue_join(room, "raw", grant=LISTENER)
    async with Signalling.open(first.url, first.token) as somebody:
        assert await allowed(somebody) == []
        newer = somebody.tickets[-1]
    async with Signalling.open(first.url, newer) as somebody:
        assert await allowed(somebody) == []


async def test_what_is_granted_is_all_that_gets_through_and_nothing_does_when_it_is_taken_back(
    backend: LiveKitBackend, room: str
) -> None:
    first = await backend.control.issue_join(room, "raw", grant=LISTENER)
    async with Signalling.open(first.url, first.token) as somebody:
        await backend.control.apply_grant(room, "raw", SPEAKER)
        await somebody.ticket_for("microphone")
        assert await allowed(somebody) == ["MICROPHONE"]
        known = len(somebody.tickets)
        await backend.control.apply_grant(room, "raw", LISTENER)
        while len(somebody.tickets) == known:
            await somebody.hear()
        assert await allowed(somebody) == []
        newest = somebody.tickets[-1]
    async with Signalling.open(first.url, newest) as somebody:
        assert await allowed(somebody) == []
