"""Who has just come is known at once, and so is whose data it is; and why somebody went."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from livekit import api, rtc

from utd_core.media.events import DataReceived, DisconnectReason, ParticipantJoined
from utd_core.model.permission import Grant
from utd_livekit.backend import LiveKitBackend
from utd_livekit.introduction import CROWD
from utd_livekit.plugin import standalone
from utd_livekit.reasons import reason_of
from utd_livekit.server.local import LocalServer

pytestmark = pytest.mark.heavy

WITHIN = 10.0


@pytest.mark.parametrize("crowded", [False, True], ids=["unasked", "in-a-crowd"])
async def test_data_of_somebody_who_has_just_come_has_its_sender(
    backend: LiveKitBackend, monkeypatch: pytest.MonkeyPatch, crowded: bool
) -> None:
    if crowded:
        monkeypatch.setattr("utd_livekit.introduction.CROWD", -CROWD)
    room = f"room-{uuid.uuid4().hex[:8]}"
    await backend.control.create_room(room)
    bob = await backend.connect(await backend.control.issue_join(room, "bob", grant=Grant()))
    for number in range(10):
        identity = f"ann-{number}"
        ann = await backend.connect(await backend.control.issue_join(room, identity, grant=Grant()))
        await ann.send_data(b"hello", reliable=bool(number % 2))
        while True:
            event = await asyncio.wait_for(bob.events.get(), WITHIN)
            if isinstance(event, DataReceived):
                break
        assert event.sender == identity
        await ann.aclose()
    await bob.aclose()
    await backend.control.close_room(room)


async def test_the_server_is_nobody(backend: LiveKitBackend) -> None:
    room = f"room-{uuid.uuid4().hex[:8]}"
    await backend.control.create_room(room)
    bob = await backend.connect(await backend.control.issue_join(room, "bob", grant=Grant()))
    await backend.control.send_data(room, b"hello")
    event = await asyncio.wait_for(bob.events.get(), WITHIN)
    assert isinstance(event, DataReceived)
    assert event.sender is None
    await bob.aclose()
    await backend.control.close_room(room)


@pytest.mark.parametrize(
    "number",
    [api.DisconnectReason.STATE_MISMATCH, api.DisconnectReason.SIGNAL_CLOSE, api.DisconnectReason.CONNECTION_TIMEOUT],
    ids=["server-asked-to-reconnect", "signal-closed", "timed-out"],
)
def test_whoever_is_to_reconnect_has_not_left(number: int) -> None:
    assert reason_of(number) is DisconnectReason.SIGNAL_LOST


def test_every_reason_of_livekit_is_one_of_ours_but_for_those_of_telephones_and_agents() -> None:
    unknown = {name for name, number in rtc.DisconnectReason.items() if reason_of(number) is DisconnectReason.UNKNOWN}
    assert unknown == {"UNKNOWN_REASON", "USER_UNAVAILABLE", "USER_REJECTED", "SIP_TRUNK_FAILURE", "AGENT_ERROR"}
    assert rtc.DisconnectReason.items() == api.DisconnectReason.items()
    assert reason_of(max(rtc.DisconnectReason.values()) + 1) is DisconnectReason.UNKNOWN


async def test_a_server_that_the_environment_names_is_used(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(server.start)
    monkeypatch.setenv("LIVEKIT_URL", server.url)
    monkeypatch.setenv("LIVEKIT_API_KEY", server.api_key)
    monkeypatch.setenv("LIVEKIT_API_SECRET", server.api_secret)
    said: list[str] = []
    assert standalone(said.append) == {}
    room = f"room-{uuid.uuid4().hex[:8]}"
    async with LiveKitBackend({}) as backend:
        await backend.control.create_room(room)
        bob = await backend.connect(await backend.control.issue_join(room, "bob", grant=Grant()))
        await backend.connect(await backend.control.issue_join(room, "ann", grant=Grant()))
        event = await asyncio.wait_for(bob.events.get(), WITHIN)
        assert isinstance(event, ParticipantJoined)
        assert event.participant.identity == "ann"
        await backend.control.close_room(room)


def test_without_one_a_server_of_its_own_is_started(built_server: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVEKIT_URL", raising=False)
    assert standalone(lambda _: None) == {"local": True}
