"""Over real connections: a whole session, a server that restarts, one that is not there, one that is none."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from utd_core.client import SyncState
from utd_core.client.models import Resynced
from utd_core.errors import Unauthenticated, Unavailable
from utd_core.testing.wait import eventually

from .server import RealWorld, Serving

ROOM = "lobby"


@pytest.mark.parity("U1", "U7")
async def test_a_session_over_real_sockets(real: RealWorld) -> None:
    async with (
        real.client("host") as host,
        real.client("guest") as guest,
        await host.join_audio_room(ROOM, as_host=True, seat_count=4) as room,
        await guest.join_audio_room(ROOM) as visit,
    ):
        await room.take_seat(0)
        assert room.seat is not None
        await eventually(lambda: visit.seats.value == room.seats.value)
        request = await visit.request_to_speak()
        await eventually(lambda: room.requests.value)
        await room.approve_speaker(request.id)
        await eventually(lambda: visit.room.publishing.value)
        await room.kick("guest", reason="enough")
        end = await visit.ended.wait_for()
        assert end is not None
        assert "enough" in end.message


async def test_names_of_any_kind_reach_the_engine_as_they_are(real: RealWorld) -> None:
    for name in ("a/b", "..", "100%", "smörgåsbord", "what? #1 & +", "🎙"):
        async with real.client(name) as host, await host.join_audio_room(name, as_host=True) as room:
            await room.take_seat(1)
            assert room.seat is not None
            assert room.seat.identity == name


@pytest.mark.parametrize("how", ["stop", "crash"])
async def test_a_server_that_was_away_is_had_again_with_nothing_missed(real: RealWorld, how: str) -> None:
    async with real.client("host") as host, await host.join_audio_room(ROOM, as_host=True) as room:
        await room.take_seat(0)
        events = room.events.reader()
        await getattr(real, how)()
        await eventually(lambda: room.sync.value is SyncState.RECOVERING)
        locking = asyncio.ensure_future(room.lock_seat(3))
        await asyncio.sleep(0)
        await real.start()
        assert (await asyncio.wait_for(locking, 15)).locked
        await eventually(lambda: room.sync.value is SyncState.LIVE, timeout=15)
        resynced = [event.recovered for event in iter(events.get_nowait, None) if isinstance(event, Resynced)]
        # A crash may take two: connections are cut before the port is closed.
        assert set(resynced) == {True}
        assert room.seats.value.seats[3].locked
        assert room.seat is not None


async def test_nobody_at_the_address_is_told_at_once(real: RealWorld) -> None:
    await real.stop()
    client = real.client("ann")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await asyncio.wait_for(client.authenticate(), 2)
    await client.aclose()
    await real.start()


async def test_a_host_that_does_not_exist_is_told_at_once(real: RealWorld) -> None:
    link = real.link(base_url="http://no-such-host.invalid")
    with pytest.raises(Unavailable, match="no-such-host"):
        await asyncio.wait_for(link.authenticate("ann", name="", device_id="d"), 10)
    await link.aclose()


async def test_a_wrong_key_is_unauthenticated(real: RealWorld) -> None:
    real.project = replace(real.project, key="wrong")
    client = real.client("ann")
    with pytest.raises(Unauthenticated):
        await client.authenticate()
    await client.aclose()


async def _website(scope: dict[str, object], receive: object, send: object) -> None:
    """Somebody's web server, which knows nothing of engines."""
    assert callable(send)
    if scope["type"] == "websocket":
        assert callable(receive)
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"<html>welcome</html>"})


async def test_a_website_is_told_from_an_engine(real: RealWorld) -> None:
    async with Serving(_website) as website:
        link = real.link(base_url=f"http://127.0.0.1:{website.port}")
        with pytest.raises(Unavailable, match="welcome"):
            await link.authenticate("ann", name="", device_id="d")
        await link.aclose()
