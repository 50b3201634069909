"""What a server may be made to call by whoever configures a webhook: nothing of its own network."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest

from utd_core.concurrency import SystemClock
from utd_core.errors import Forbidden
from utd_core.server.webhooks import WebhookSettings
from utd_core.server.webhooks.addresses import GuardedTransport, is_public
from utd_core.server.webhooks.sender import NotTaken, Sender
from utd_core.store.outbox import Outgoing, Parcel

from .world import an_endpoint

PARCEL = Parcel(1, Outgoing("hook", "room", "lobby", "e1", "room_ended", 1.0, b'{"id":"e1"}'), 0, 1.0, 2.0)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.10", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.0.8", "198.18.0.1",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:c0a8:101::1", "64:ff9b::7f00:1",
        "64:ff9b::10.0.0.1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_on_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::1.1.1.1", "::ffff:8.8.8.8"]
)
def test_addresses_that_are(address: str) -> None:
    assert is_public(address)


class Network(httpx.AsyncBaseTransport):
    """Notes what is connected to."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200)


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Every look-up of a name is answered with the next of these lists of addresses."""
    left = list(answers)

    async def getaddrinfo(_: object, host: str, port: int, **options: Any) -> list[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


async def post(transport: httpx.AsyncBaseTransport, url: str) -> None:
    async with httpx.AsyncClient(transport=transport) as client:
        await client.post(url, content=b"{}")


async def test_a_name_is_connected_to_by_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    # A name that is public at the first look and private at the second: there is no second look.
    resolving(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    network = Network()
    await post(GuardedTransport(allow_private=False, inner=network), "https://shop.example.com/hook")
    (request,) = network.requests
    assert request.url == "https://93.184.216.34/hook"
    assert request.headers["host"] == "shop.example.com"
    assert request.extensions["sni_hostname"] == "shop.example.com"


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["169.254.169.254"]])
async def test_a_name_with_any_private_address_is_not_called(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    resolving(monkeypatch, addresses)
    network = Network()
    with pytest.raises(Forbidden, match="allow_private"):
        await post(GuardedTransport(allow_private=False, inner=network), "https://shop.example.com/hook")
    assert network.requests == []
    await post(GuardedTransport(allow_private=True, inner=network), "https://shop.example.com/hook")
    assert len(network.requests) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "127.1", "[::ffff:127.0.0.1]"]
)
async def test_no_way_of_writing_this_machine_reaches_it(host: str) -> None:
    sender = Sender(an_endpoint(url=f"https://{host}:9/"), WebhookSettings(), SystemClock())
    try:
        with pytest.raises(NotTaken) as caught:
            await sender.send(PARCEL)
    finally:
        await sender.aclose()
    assert "not on the public internet" in str(caught.value) or "has no address" in str(caught.value)


async def test_a_name_that_does_not_exist_is_a_failure_like_any_other() -> None:
    sender = Sender(an_endpoint(url="https://no-such-host.invalid/"), WebhookSettings(), SystemClock())
    try:
        with pytest.raises(NotTaken, match="no-such-host"):
            await sender.send(PARCEL)
    finally:
        await sender.aclose()


async def test_without_tls_nothing_is_sent_unless_that_is_allowed() -> None:
    network = Network()
    endpoint = an_endpoint(url="http://shop.example.com/")
    for allowed in (False, True):
        sender = Sender(endpoint, WebhookSettings(allow_http=allowed), SystemClock(), network)
        if allowed:
            await sender.send(PARCEL)
        else:
            with pytest.raises(NotTaken, match="TLS"):
                await sender.send(PARCEL)
        await sender.aclose()
    assert len(network.requests) == 1


async def test_what_a_failure_says_is_short_and_holds_nothing_that_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ReadError("x" * 10_000)

    sender = Sender(an_endpoint(), WebhookSettings(), SystemClock(), Fails())
    with pytest.raises(NotTaken) as caught:
        await sender.send(PARCEL)
    await sender.aclose()
    assert len(str(caught.value)) <= 200
