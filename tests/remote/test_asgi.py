"""The transport in the process: as a server would call an application, and as a client would be answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from utd_core.client.remote import ASGITransport, SocketClosed
from utd_core.errors import Closed, Unavailable

URL = "http://app.test"


def a_transport(app: Any) -> ASGITransport:
    return ASGITransport(app)


async def ask(app: Any, method: str, target: str, **request: Any) -> httpx.Response:
    async with aclosing(a_transport(app)) as transport, await transport.open({URL}) as http:
        return await http.request(method, URL + target, **request)


async def test_an_application_sees_the_request_as_it_was_sent() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope, message=await receive())
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-said", b"yes")]})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    response = await ask(app, "PUT", "/a%2Fb/%C3%A4?x=1%202", content=b"body", headers={"X-Mine": "1"})
    assert (response.status_code, response.content, response.headers["x-said"]) == (201, b"ab", "yes")
    assert (seen["method"], seen["path"], seen["raw_path"]) == ("PUT", "/a/b/ä", b"/a%2Fb/%C3%A4")
    assert seen["query_string"] == b"x=1%202"
    assert (b"x-mine", b"1") in seen["headers"]
    assert (b"host", b"app.test") in seen["headers"]
    assert seen["message"] == {"type": "http.request", "body": b"body", "more_body": False}
    assert seen["server"] == ("app.test", 80)


async def test_a_request_goes_on_when_its_caller_gives_up_and_is_told_so() -> None:
    heard: list[str] = []
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.append((await receive())["type"])
        heard.append((await receive())["type"])
        ended.set()

    async with aclosing(a_transport(app)) as transport, await transport.open({URL}) as http:
        asking = asyncio.ensure_future(http.get(URL))
        while not heard:
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait_for(ended.wait(), 5)
    assert heard == ["http.request", "http.disconnect"]


async def test_an_application_that_says_nothing_is_a_lost_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(httpx.RemoteProtocolError):
        await ask(app, "GET", "/")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Says everything twice; closes when it is told to."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "close":
            await send({"type": "websocket.close", "code": 4200, "reason": "as you wish"})
            continue
        for _ in range(2):
            await send({"type": "websocket.send", "text": message["text"]})


@pytest.fixture
async def transport() -> AsyncIterator[ASGITransport]:
    async with aclosing(a_transport(echo)) as transport:
        yield transport


async def test_a_socket_talks_and_ends(transport: ASGITransport) -> None:
    socket = await transport.connect("ws://app.test/x?y=1")
    await socket.send("hello")
    assert [await socket.receive(), await socket.receive()] == ["hello", "hello"]
    await socket.send("last")
    await socket.send("close")
    assert [await socket.receive(), await socket.receive()] == ["last", "last"]
    for _ in range(2):
        with pytest.raises(SocketClosed) as closed:
            await socket.receive()
        assert (closed.value.code, closed.value.reason) == (4200, "as you wish")
    with pytest.raises(SocketClosed):
        await socket.send("more")
    await socket.aclose()
    await socket.aclose()


async def test_who_sends_too_fast_waits_and_nothing_is_lost(transport: ASGITransport) -> None:
    socket = await transport.connect("ws://app.test")

    async def send() -> None:
        for number in range(500):
            await socket.send(str(number))

    sending = asyncio.ensure_future(send())
    for _ in range(2_000):
        await asyncio.sleep(0)
    assert not sending.done()
    heard = [await socket.receive() for _ in range(1_000)]
    assert heard == [str(number // 2) for number in range(1_000)]
    await sending


async def test_a_client_that_hangs_up_is_gone_for_the_application() -> None:
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        assert (await receive())["type"] == "websocket.disconnect"
        with pytest.raises(OSError, match="gone"):
            await send({"type": "websocket.send", "text": "anybody there?"})
        ended.set()

    async with aclosing(a_transport(app)) as transport:
        socket = await transport.connect("ws://app.test")
        await socket.aclose()
        await asyncio.wait_for(ended.wait(), 5)


async def test_a_socket_that_is_not_accepted_is_unavailable() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close"})

    async with aclosing(a_transport(app)) as transport:
        with pytest.raises(Unavailable):
            await transport.connect("ws://app.test")


async def test_an_application_that_returns_is_a_lost_socket() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})

    async with aclosing(a_transport(app)) as transport:
        socket = await transport.connect("ws://app.test")
        with pytest.raises(SocketClosed) as closed:
            await socket.receive()
        assert closed.value.code == 1006


async def test_connecting_can_be_given_up() -> None:
    left = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()
        left.set()

    async with aclosing(a_transport(app)) as transport:
        connecting = asyncio.ensure_future(transport.connect("ws://app.test"))
        for _ in range(10):
            await asyncio.sleep(0)
        connecting.cancel()
        await asyncio.wait_for(left.wait(), 5)


async def test_after_the_end_nothing_is_carried(transport: ASGITransport) -> None:
    http = await transport.open({URL})
    socket = await transport.connect("ws://app.test")
    await transport.aclose()
    await transport.aclose()
    with pytest.raises(SocketClosed):
        await socket.receive()
    with pytest.raises(httpx.ConnectError):
        await http.get(URL)
    with pytest.raises(Closed):
        await transport.open({URL})
    await http.aclose()
