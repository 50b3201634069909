"""Outages and expired tickets, as they are made on the way to the server; and what the server says of a ticket."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from utd_core.concurrency import SystemClock
from utd_core.errors import Unsupported
from utd_core.media.events import ConnectionState, StateChanged
from utd_core.media.faults import Fault
from utd_core.model.permission import Grant
from utd_livekit.backend import LiveKitBackend
from utd_livekit.connection import LiveKitConnection
from utd_livekit.faults import MEDIA_FAULTS, expired_ticket
from utd_livekit.refusals import has_run_out
from utd_livekit.sdk import newest_ticket
from utd_livekit.server.local import LocalServer, free_port
from utd_livekit.settings import LiveKitSettings

pytestmark = pytest.mark.heavy

OUTAGE = 1.5
PATIENCE = 30.0


@pytest.fixture
async def wired(server: LocalServer) -> AsyncIterator[LiveKitBackend]:
    """A backend whose connections can be broken."""
    await asyncio.to_thread(server.start)
    settings = {**server.settings, "webhooks": "", "server": server, "faults": True}
    async with LiveKitBackend(settings, SystemClock()) as backend:
        yield backend


async def join(backend: LiveKitBackend) -> LiveKitConnection:
    room = f"room-{uuid.uuid4().hex[:8]}"
    await backend.control.create_room(room)
    return await backend.connect(await backend.control.issue_join(room, "ann", grant=Grant()))


async def changes_to(connection: LiveKitConnection, state: ConnectionState) -> None:
    async with asyncio.timeout(PATIENCE):
        async for event in connection.events:
            if isinstance(event, StateChanged) and event.state is state:
                return


@pytest.mark.parametrize("fault", [Fault.SIGNAL_DROP, Fault.FULL_RECONNECT])
async def test_an_outage_is_not_over_before_its_seconds_are(wired: LiveKitBackend, fault: Fault) -> None:
    ann, now = await join(wired), asyncio.get_running_loop().time
    began = now()
    await wired.inject(fault, ann.room, ann.identity, seconds=OUTAGE)
    await changes_to(ann, ConnectionState.RECONNECTING)
    await changes_to(ann, ConnectionState.CONNECTED)
    assert now() - began >= OUTAGE


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [(Fault.TOKEN_EXPIRY, {}), (Fault.SIGNAL_DROP, {"seconds": 1.0}), *((fault, {}) for fault in sorted(MEDIA_FAULTS))],
    ids=["token-expiry", "long-signal-drop", *sorted(MEDIA_FAULTS)],
)
async def test_without_the_setting_there_is_nothing_to_break(
    backend: LiveKitBackend, fault: Fault, parameters: dict[str, float]
) -> None:
    ann = await join(backend)
    with pytest.raises(Unsupported, match="'faults'"):
        await backend.inject(fault, ann.room, ann.identity, **parameters)
    assert ann.state is ConnectionState.CONNECTED


async def test_the_server_itself_says_whether_a_ticket_has_run_out(
    backend: LiveKitBackend, server: LocalServer
) -> None:
    ann = await join(backend)
    strangers = LiveKitSettings(server.url, server.api_key, "another-secret-of-at-least-32-bytes")
    of_server = LiveKitSettings(server.url, server.api_key, server.api_secret)
    assert await has_run_out(server.url, expired_ticket(of_server, ann.room, "ann"))
    assert not await has_run_out(server.url, newest_ticket(ann.native))
    assert not await has_run_out(server.url, expired_ticket(strangers, ann.room, "ann"))
    assert not await has_run_out(f"ws://127.0.0.1:{free_port()}", expired_ticket(of_server, ann.room, "ann"))
