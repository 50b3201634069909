"""One delivery over a real connection, to applications that are fine, slow, huge, elsewhere, or somebody else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.tls import Authority
from utd_core.concurrency import SystemClock
from utd_core.server.webhooks import WebhookSettings
from utd_core.server.webhooks.addresses import GuardedTransport
from utd_core.server.webhooks.sender import NotTaken, Sender
from utd_core.store.outbox import Outgoing, Parcel

from .test_addresses import resolving
from .world import an_endpoint

PARCEL = Parcel(1, Outgoing("hook", "room", "lobby", "e1", "room_ended", 1.0, b'{"id":"e1"}'), 0, 1.0, 2.0)
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
DEVELOPING: dict[str, Any] = {"allow_http": True, "allow_private": True}


@asynccontextmanager
async def application(answer: Answer | bytes, **options: Any) -> AsyncIterator[int]:
    """The port of an application that answers so, having read a head."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        # A connection's task is cancelled at the end, and the library would take that for a failure.
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            await reader.readuntil(b"\r\n\r\n")
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(reader, writer)
            writer.close()
            await writer.wait_closed()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **options)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks)


async def send(url: str, inner: httpx.AsyncBaseTransport | None = None, **settings: Any) -> None:
    given = WebhookSettings(**{**DEVELOPING, **settings})
    transport = GuardedTransport(allow_private=given.allow_private, inner=inner)
    sender = Sender(an_endpoint(url=url), given, SystemClock(), transport)
    try:
        await sender.send(PARCEL)
    finally:
        await sender.aclose()


async def test_a_plain_answer_is_enough() -> None:
    async with application(OK) as port:
        await send(f"http://127.0.0.1:{port}/")


class TestAnAnswer:
    async def test_that_has_no_end_is_read_no_further_and_counts_by_its_status(self) -> None:
        written = 0

        async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                await writer.drain()
                written += 0x4000

        async with application(endless) as port:
            await send(f"http://127.0.0.1:{port}/")
        # What two kernels buffer comes on top of what was read.
        assert written < 32 * 1024 * 1024

    @pytest.mark.parametrize(
        "piece",
        [b"", b"HTTP/1.1 200 OK\r\nx-more: ", b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n"],
        ids=["nothing", "a head", "a body"],
    )
    async def test_that_dribbles_is_given_up_in_time(self, piece: bytes) -> None:
        async def dribbles(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(piece)
            while True:
                if piece:
                    writer.write(b"x")
                    await writer.drain()
                await asyncio.sleep(0.02)

        began = asyncio.get_running_loop().time()
        async with application(dribbles) as port:
            with pytest.raises(NotTaken, match=r"no answer within 0\.5 s"):
                await send(f"http://127.0.0.1:{port}/", timeout=0.5)
        assert asyncio.get_running_loop().time() - began < 20

    async def test_whose_head_has_no_end_is_a_failure(self) -> None:
        async def headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                writer.write(b"x-more: " + b"y" * 1_000 + b"\r\n")
                await writer.drain()

        async with application(headers) as port:
            with pytest.raises(NotTaken):
                await send(f"http://127.0.0.1:{port}/")

    async def test_that_leads_elsewhere_is_not_followed(self) -> None:
        async with application(OK) as inside:
            asked: list[bytes] = []

            async def elsewhere(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                asked.append(b"")
                writer.write(
                    b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:%d/\r\ncontent-length: 0\r\n\r\n"
                    % inside
                )
                await writer.drain()

            async with application(elsewhere) as port:
                with pytest.raises(NotTaken, match="307 and leads elsewhere"):
                    await send(f"http://127.0.0.1:{port}/")
        assert len(asked) == 1

    async def test_that_is_no_http_is_a_failure(self) -> None:
        async with application(b"220 mail.example.com ESMTP\r\n") as port:
            with pytest.raises(NotTaken, match="RemoteProtocolError"):
                await send(f"http://127.0.0.1:{port}/")


async def test_the_next_address_of_a_name_is_asked_where_one_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with application(OK) as port:
        # Nobody listens on the first one: of two families, often only one leads anywhere.
        resolving(monkeypatch, ["127.0.0.9", "127.0.0.1", "127.0.0.1"])
        await send(f"http://shop.example.com:{port}/")


async def test_what_was_sent_once_is_not_sent_to_the_next_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.transport.abort()

    async with application(hangs_up) as port:
        resolving(monkeypatch, ["127.0.0.1", "127.0.0.2"])
        with pytest.raises(NotTaken):
            await send(f"http://shop.example.com:{port}/")
    assert asked == 1


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    async def test_is_that_of_the_name_though_an_address_is_connected_to(
        self, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolving(monkeypatch, ["127.0.0.1"])
        async with application(OK, ssl=authority.server("shop.example.com")) as port:
            inner = httpx.AsyncHTTPTransport(verify=authority.client(), trust_env=False)
            await send(f"https://shop.example.com:{port}/", inner)

    @pytest.mark.parametrize("trusted", [True, False])
    @pytest.mark.parametrize(("name", "expired"), [("other.example.com", False), ("shop.example.com", True)])
    async def test_that_is_not_right_is_nobody_to_talk_to(
        self, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str, expired: bool, trusted: bool
    ) -> None:
        resolving(monkeypatch, ["127.0.0.1"])
        heard = False

        async def hears(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal heard
            heard = True

        async with application(hears, ssl=authority.server(name, expired=expired)) as port:
            inner = httpx.AsyncHTTPTransport(verify=authority.client(), trust_env=False) if trusted else None
            # Switches for development are about addresses and plain HTTP; none turns this off.
            with pytest.raises(NotTaken, match="certificate verify failed"):
                await send(f"https://shop.example.com:{port}/", inner)
        assert not heard
