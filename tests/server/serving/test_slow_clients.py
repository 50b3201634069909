"""Clients that take their time, or all there is, over real connections: they are cut off, and others are served."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest

from tests.server.pusher.live import PROJECT, LiveServer
from tests.server.pusher.raw_client import RawClient
from utd_core.server.app_settings import AppSettings
from utd_core.server.connections import MOST_HEAD, limited
from utd_core.testing.wait import eventually

PATIENCE = 20.0
"""Seconds for what has to happen in the end, on a machine that is busy."""
SOON = 0.3
SECRET = f"X-App-Id: {PROJECT.app_id}\r\nX-App-Secret: {PROJECT.secret}\r\n"
HOST = "Host: rtc.example.com\r\n"
ROOM = json.dumps({"room": "lobby", "type": "audio_room"})
POST = f"POST /api/v1/rooms HTTP/1.1\r\n{HOST}{SECRET}Content-Type: application/json\r\n"


@asynccontextmanager
async def live(**http: Any) -> AsyncIterator[LiveServer]:
    settings = AppSettings(**http)
    async with LiveServer({"http": limited(settings)}, settings) as server:
        yield server


class Client:
    """A connection on which bytes are sent as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, text: str) -> None:
        self.writer.write(text.encode())

    async def dribble(self, piece: Callable[[], str]) -> bytes:
        """Send a little from time to time until the server has had enough; what it said."""
        said = asyncio.ensure_future(self.rest())
        while not said.done():
            with suppress(ConnectionError):
                self.say(piece())
            await asyncio.wait([said], timeout=SOON / 10)
        return said.result()

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        said = b""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                while chunk := await self.reader.read(65_536):
                    said += chunk
        return said

    async def head(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()


@asynccontextmanager
async def connected(server: LiveServer, **options: Any) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, **options)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def is_served(server: LiveServer, **headers: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{server.port}/health", headers=headers)
    return answer.status_code


def error_of(said: bytes) -> Any:
    return json.loads(said.partition(b"\r\n\r\n")[2])


class TestSlowly:
    async def test_a_connection_that_says_nothing_is_closed(self) -> None:
        async with live(head_timeout=SOON) as server, connected(server) as client:
            assert await client.rest() == b""
            assert await is_served(server) == 200

    @pytest.mark.parametrize("piece", ["x", "X-More: y\r\n", "é"])
    async def test_a_head_that_never_ends_is_closed(self, piece: str) -> None:
        async with live(head_timeout=SOON) as server, connected(server) as client:
            client.say("GET /health HTTP/1.1\r\nX-")
            assert b" 200 " not in await client.dribble(lambda: piece)
            await eventually(lambda: not server.http_connections, PATIENCE)

    async def test_blank_lines_are_no_request_either(self) -> None:
        async with live(head_timeout=SOON) as server, connected(server) as client:
            assert await client.dribble(lambda: "\r\n") == b""

    async def test_the_second_head_of_a_connection_is_waited_for_no_longer(self) -> None:
        async with live(head_timeout=SOON) as server, connected(server) as client:
            client.say(f"GET /health HTTP/1.1\r\n{HOST}\r\n")
            assert " 200 " in await client.head()
            said = await client.dribble(lambda: "G")
            assert said.count(b"HTTP/1.1 200") == 0

    async def test_a_body_that_never_ends_is_answered_408_and_nothing_is_done(self) -> None:
        async with live(body_timeout=SOON) as server, connected(server) as client:
            client.say(f"{POST}Content-Length: {len(ROOM)}\r\n\r\n{ROOM[:10]}")
            said = await client.rest()
            assert said.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in said
            assert error_of(said)["code"] == "request_timeout"
            async with httpx.AsyncClient(trust_env=False) as http:
                headers = {"X-App-Id": PROJECT.app_id, "X-App-Secret": PROJECT.secret}
                rooms = await http.get(f"http://127.0.0.1:{server.port}/api/v1/rooms/lobby", headers=headers)
            assert rooms.status_code == 404

    async def test_a_body_in_pieces_has_so_long_as_a_whole_not_for_each(self) -> None:
        async with live(body_timeout=SOON) as server, connected(server) as client:
            client.say(f"{POST}Transfer-Encoding: chunked\r\n\r\n")
            assert (await client.dribble(lambda: "1\r\n{\r\n")).startswith(b"HTTP/1.1 408 ")

    async def test_the_rest_of_a_body_that_nobody_wanted_holds_nothing(self) -> None:
        async with live(head_timeout=SOON) as server, connected(server) as client:
            client.say(f"POST /api/v1/rooms HTTP/1.1\r\n{HOST}Content-Length: 100000\r\n\r\n")
            said = await client.dribble(lambda: "x")
            assert said.startswith(b"HTTP/1.1 401 ")
            assert said.count(b"HTTP/1.1") == 1

    async def test_a_client_that_does_not_read_is_cut_off(self) -> None:
        async with live(write_timeout=SOON) as server:
            small = socket.create_connection(("127.0.0.1", server.port))
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            small.setblocking(False)
            async with connected_with(small) as client:
                client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's sockets have it
                client.say(f"GET /openapi.json HTTP/1.1\r\n{HOST}\r\n" * 200)
                await eventually(lambda: server.http_connections, PATIENCE)
                await eventually(lambda: not server.http_connections, PATIENCE)
            assert await is_served(server) == 200

    async def test_somebody_who_is_quick_is_served_over_one_connection_for_as_long_as_it_lives(self) -> None:
        async with live(head_timeout=SOON) as server, connected(server) as client:
            for pause in (0, SOON * 2, 0, 0):
                # Longer than a head may take: between two requests another patience counts, uvicorn's.
                await asyncio.sleep(pause)
                body = f"{POST}Content-Length: 2\r\n\r\n"
                client.say(body)
                client.say("{}")
                head = await client.head()
                assert " 422 " in head
                length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
                await client.reader.readexactly(length)

    async def test_an_event_socket_may_be_quiet(self) -> None:
        settings = AppSettings(head_timeout=SOON, write_timeout=SOON, connections_per_address=1)
        async with LiveServer({"http": limited(settings)}, settings) as server:
            quiet = await RawClient.connect(server)
            # Longer than anything of the above.
            await asyncio.sleep(SOON * 3)
            assert server.connections == 1
            assert await is_served(server) == 200, "a socket is no HTTP connection any more"
            await quiet.follow()
            quiet.hang_up()


@asynccontextmanager
async def connected_with(opened: socket.socket) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(sock=opened)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


class TestTooMuch:
    async def test_a_head_that_is_too_long_is_answered_431_before_all_of_it_came(self) -> None:
        async with live() as server, connected(server) as client:
            client.say("GET /health HTTP/1.1\r\n")
            line = f"X-Much: {'x' * 4_000}\r\n"
            sent = 0

            def more() -> str:
                nonlocal sent
                sent += len(line)
                return line

            said = await client.dribble(more)
            assert said.startswith(b"HTTP/1.1 431 ")
            assert error_of(said)["code"] == "too_large"
            assert sent < MOST_HEAD * 2

    @pytest.mark.parametrize("line", ["/health HTTP/1.1\r\nX-Much: {}", "/{} HTTP/1.1"], ids=["header", "path"])
    async def test_a_head_that_is_too_long_is_answered_431_also_if_it_comes_at_once(self, line: str) -> None:
        async with live() as server:
            for size, answered in ((MOST_HEAD - 1_000, (200, 404)), (MOST_HEAD + 1, (431,))):
                async with connected(server) as client:
                    client.say(f"GET {line.format('x' * size)}\r\n{HOST}Connection: close\r\n\r\n")
                    said = await client.rest()
                    assert int(said[9:12]) in answered

    async def test_a_body_behind_a_short_head_is_not_counted_with_it(self) -> None:
        async with live(max_body=200_000) as server, connected(server) as client:
            padding = " " * 150_000
            for _ in range(3):
                client.say(f"{POST}Content-Length: {len(padding) + 2}\r\n\r\n{{}}{padding}")
                head = await client.head()
                assert " 422 " in head
                await client.reader.readexactly(int(head.lower().partition("content-length: ")[2].partition("\r\n")[0]))

    async def test_a_body_that_is_too_long_is_answered_413_before_any_of_it_came(self) -> None:
        async with live(head_timeout=SOON) as server, connected(server) as client:
            client.say(f"{POST}Content-Length: 100000000\r\n\r\n")
            said = await client.rest()
            assert said.startswith(b"HTTP/1.1 413 ")
            assert error_of(said)["code"] == "too_large"

    async def test_a_body_of_unknown_length_is_answered_413_once_it_is_too_long(self) -> None:
        # Whoever goes on afterwards is heard for as long as a head may take, so that the answer arrives.
        async with live(max_body=10_000, head_timeout=2) as server, connected(server) as client:
            client.say(f"{POST}Transfer-Encoding: chunked\r\n\r\n")
            sent = 0

            def more() -> str:
                nonlocal sent
                sent += 1_000
                return f"3e8\r\n{'x' * 1_000}\r\n"

            assert (await client.dribble(more)).startswith(b"HTTP/1.1 413 ")
            assert sent < 100_000

    async def test_whoever_stops_in_the_middle_of_a_refused_body_is_not_waited_for_longer_than_for_a_head(self) -> None:
        async with live(max_body=10_000, head_timeout=SOON) as server, connected(server) as client:
            client.say(f"{POST}Transfer-Encoding: chunked\r\n\r\n4e20\r\n{'x' * 20_000}\r\n")
            assert (await client.rest()).startswith(b"HTTP/1.1 413 ")

    async def test_whoever_sends_all_of_it_before_looking_at_the_answer_is_answered_413_and_not_reset(self) -> None:
        url = "/api/v1/rooms"
        headers = {**dict(line.split(": ") for line in SECRET.splitlines()), "Content-Type": "application/json"}
        async with live() as server, httpx.AsyncClient(trust_env=False) as http:
            for _ in range(3):
                answer = await http.post(
                    f"http://127.0.0.1:{server.port}{url}", headers=headers, content=bytes(2 * 10**7)
                )
                assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


class TestNoHttp:
    """Also what is no request is answered in the format of all errors."""

    @pytest.mark.parametrize(
        "said",
        [
            "\x16\x03\x01\x02\x00\x01\x00\x01",
            "FOO /health HTTP/1.1\r\n\r\n",
            f"GET /h\xe4 HTTP/1.1\r\n{HOST}\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            f"{POST}Content-Length: -5\r\n\r\n",
            f"{POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
            f"{POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            f"{POST}Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        ],
        ids=["tls", "method", "path", "http2", "negative", "lengths", "smuggled", "chunk"],
    )
    async def test_is_answered_400(self, said: str) -> None:
        async with live() as server:
            async with connected(server) as client:
                client.say(said)
                answer = await client.rest()
                assert answer.startswith(b"HTTP/1.1 400 ")
                assert answer.count(b"HTTP/1.1 ") == 1
                assert error_of(answer)["code"] == "invalid_input"
            assert await is_served(server) == 200

    async def test_is_answered_400_also_within_a_body_and_nothing_is_done(self) -> None:
        async with live() as server:
            async with connected(server) as client:
                client.say(f"{POST}Transfer-Encoding: chunked\r\n\r\n5\r\n{ROOM[:5]}\r\n")
                await eventually(lambda: server.app._under_way, PATIENCE)
                client.say("ZZ\r\n")
                answer = await client.rest()
                assert answer.startswith(b"HTTP/1.1 400 ")
                assert answer.count(b"HTTP/1.1 ") == 1
            await eventually(lambda: not server.app._under_way, PATIENCE)

    async def test_is_no_answer_to_the_request_before(self) -> None:
        async with live() as server, connected(server) as client:
            client.say(f"GET /health HTTP/1.1\r\n{HOST}\r\nFOO /health HTTP/1.1\r\n\r\n")
            assert b" 400 " not in await client.rest()


class TestTooMany:
    async def test_connections_of_one_address_are_refused_until_one_of_them_ends(self) -> None:
        async with live(connections_per_address=3) as server:
            held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
            await eventually(lambda: server.http_connections == 3, PATIENCE)
            async with connected(server) as client:
                said = await client.rest()
                assert said.startswith(b"HTTP/1.1 429 ")
                assert b"retry-after: 1" in said
                assert error_of(said)["code"] == "rate_limited"
            held[0][1].transport.abort()
            await eventually(lambda: server.http_connections == 2, PATIENCE)
            assert await is_served(server) == 200
            for _, writer in held:
                writer.transport.abort()
            await eventually(lambda: not server.http_connections, PATIENCE)

    async def test_behind_a_proxy_the_requests_of_one_client_are_counted_not_the_proxys_connections(self) -> None:
        async with live(connections_per_address=2, trusted_proxies=("127.0.0.1",)) as server:
            slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(4)]
            for n, (_, writer) in enumerate(slow):
                # Two clients with two requests each, whose bodies are still to come.
                forwarded = f"X-Forwarded-For: 198.51.100.{n % 2}\r\n"
                writer.write(f"{POST}{forwarded}Content-Length: 10\r\n\r\n".encode())
            await eventually(lambda: sum(server.app._under_way.values()) == 4, PATIENCE)
            assert await is_served(server, **{"X-Forwarded-For": "198.51.100.1"}) == 429
            assert await is_served(server, **{"X-Forwarded-For": "198.51.100.7"}) == 200
            for _, writer in slow:
                writer.transport.abort()
            await eventually(lambda: not server.app._under_way, PATIENCE)

    async def test_what_a_client_says_of_itself_changes_nothing(self) -> None:
        async with live(connections_per_address=1) as server:
            _, held = await asyncio.open_connection("127.0.0.1", server.port)
            await eventually(lambda: server.http_connections == 1, PATIENCE)
            assert await is_served(server, **{"X-Forwarded-For": "198.51.100.7"}) == 429
            held.transport.abort()
