"""Real wires: cut, dead, encrypted, and shared by many requests at once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
import uvicorn

from tests.client.world import STEADY
from tests.proxy import Proxy
from tests.tls import Authority
from utd_core.client import SyncState, UTDStreamClient
from utd_core.client.models import Resynced
from utd_core.client.remote import NetworkTransport, RemoteLink, RemoteSettings
from utd_core.errors import Unavailable
from utd_core.model.commands import CreateRoom, LockSeat
from utd_core.server.pusher import UVICORN_OPTIONS
from utd_core.testing.wait import eventually

from .server import QuietServer, RealWorld

ROOM = "lobby"
IMPATIENT = RemoteSettings(request_timeout=0.6, silence=0.3, pong_timeout=0.3)


@pytest.fixture
async def proxy(real: RealWorld) -> AsyncIterator[Proxy]:
    async with Proxy(real.port) as proxy:
        yield proxy


@pytest.mark.parametrize("how", ["cut", "freeze"])
async def test_connections_that_die_are_replaced_and_nothing_is_missed(real: RealWorld, proxy: Proxy, how: str) -> None:
    link = real.link(base_url=f"http://127.0.0.1:{proxy.port}", settings=IMPATIENT, retry=STEADY)
    async with (
        UTDStreamClient(link=link, identity="host", retry=STEADY) as host,
        await host.join_audio_room(ROOM, as_host=True) as room,
    ):
        events = room.events.reader()
        getattr(proxy, how)()
        seat = await asyncio.wait_for(room.lock_seat(2), 10)
        assert seat.locked
        await eventually(lambda: room.seats.value.seats[2].locked, timeout=10)
        await eventually(lambda: room.sync.value is SyncState.LIVE, timeout=10)
        resynced = [event.recovered for event in iter(events.get_nowait, None) if isinstance(event, Resynced)]
        assert set(resynced) == {True}


async def test_an_idle_link_that_died_is_noticed_without_a_command(real: RealWorld, proxy: Proxy) -> None:
    link = real.link(base_url=f"http://127.0.0.1:{proxy.port}", settings=IMPATIENT, retry=STEADY)
    async with (
        UTDStreamClient(link=link, identity="host", retry=STEADY) as host,
        await host.join_audio_room(ROOM, as_host=True) as room,
    ):
        proxy.freeze()
        await real.engine.execute(LockSeat(room=ROOM, index=3))
        await eventually(lambda: room.seats.value.seats[3].locked, timeout=10)


async def test_a_link_that_died_is_noticed_sooner_when_something_is_said_on_it(real: RealWorld, proxy: Proxy) -> None:
    settings = RemoteSettings(request_timeout=2.0, silence=3_600, doubt=0.3, pong_timeout=0.3)
    link = real.link(base_url=f"http://127.0.0.1:{proxy.port}", settings=settings, retry=STEADY)
    async with (
        UTDStreamClient(link=link, identity="host", retry=STEADY) as host,
        await host.join_audio_room(ROOM, as_host=True) as room,
    ):
        proxy.freeze()
        async with await asyncio.wait_for(host.join_audio_room("another", as_host=True), 10):
            await real.engine.execute(LockSeat(room=ROOM, index=3))
            await eventually(lambda: room.seats.value.seats[3].locked, timeout=10)


async def test_many_commands_at_once_share_a_few_connections(real: RealWorld, proxy: Proxy) -> None:
    transport = NetworkTransport(max_connections=3)
    link = real.link(base_url=f"http://127.0.0.1:{proxy.port}", transport=transport)
    await link.authenticate("host", name="", device_id="d")
    made = await asyncio.gather(
        *(link.execute(CreateRoom(room=f"{ROOM}-{number}", type="audio_room")) for number in range(40))  # type: ignore[arg-type]
    )
    assert len({snapshot.room.name for snapshot in made}) == 40
    assert proxy.connections <= 3
    await link.aclose()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def trusting(authority: Authority) -> NetworkTransport:
    return NetworkTransport(ssl_context=authority.client)


async def test_over_tls_with_an_authority_of_ones_own(real: RealWorld, authority: Authority) -> None:
    certificate = str(authority.issue())
    options: dict[str, Any] = {"ssl_certfile": certificate, "ssl_keyfile": certificate, "lifespan": "off"}
    config = uvicorn.Config(real.app, port=0, log_level="critical", **options, **UVICORN_OPTIONS)
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    base_url = f"https://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    stranger = real.link(base_url=base_url)
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        await asyncio.wait_for(stranger.authenticate("ann", name="", device_id="d"), 5)
    await stranger.aclose()

    link = real.link(base_url=base_url, transport=trusting(authority))
    async with (
        UTDStreamClient(link=link, identity="host") as host,
        await host.join_audio_room(ROOM, as_host=True) as room,
    ):
        await room.lock_seat(1)
        assert room.seats.value.seats[1].locked
    server.should_exit = True
    await serving


class Http2(asyncio.Protocol):
    """Answers whatever it is asked with a session, over HTTP/2."""

    made = 0

    def connection_made(self, transport: Any) -> None:
        type(self).made += 1
        self._transport = transport
        self._connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._connection.initiate_connection()
        transport.write(self._connection.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self._connection.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                body = b'{"identity": "ann", "user_token": "t", "expires_at": 9e9}'
                stream = event.stream_id
                assert stream is not None
                self._connection.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
                self._connection.send_data(stream, body, end_stream=True)
        self._transport.write(self._connection.data_to_send())


@asynccontextmanager
async def speaking_http2(context: ssl.SSLContext) -> AsyncIterator[str]:
    context.set_alpn_protocols(["h2"])
    server = await asyncio.get_running_loop().create_server(Http2, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_requests_share_one_http2_connection_where_the_server_speaks_it(authority: Authority) -> None:
    Http2.made = 0
    async with speaking_http2(authority.server()) as base_url:
        link = RemoteLink("app", "key", base_url=base_url, transport=trusting(authority))
        await asyncio.gather(*(link.authenticate("ann", name="", device_id="d") for _ in range(10)))
        assert Http2.made == 1
        await link.aclose()
