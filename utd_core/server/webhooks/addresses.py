"""Which addresses a server may be made to call by whoever configures a webhook.

A name is resolved here, each of its addresses is looked at, and then exactly what was looked at is connected to: a name
that answers otherwise a moment later changes nothing.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from ...errors import Forbidden

_NAT64 = IPv6Network("64:ff9b::/96")
_ALSO_SPECIAL = [
    ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "2001::/23", "3fff::/20", "5f00::/16")
]
"""Special by the registries of IANA, and not known as such by every Python that this runs on."""
_MOST_ADDRESSES = 4
"""Of one host that are tried; a name may have as many as its owner likes."""


def is_public(address: str) -> bool:
    """Whether it is on the public internet, also when it is written as one that is."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        teredo = found.teredo
        inner = found.ipv4_mapped or found.sixtofour or (teredo[1] if teredo is not None else None)
        if found in _NAT64:
            inner = IPv4Address(int(found) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
    is_special = found.is_multicast or found.is_reserved or any(found in network for network in _ALSO_SPECIAL)
    return found.is_global and not is_special


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects to public addresses only, unless it `allow_private`; raises `Forbidden` otherwise.

    For one host: connections are kept by address, and must not be shared by names with certificates of their own.
    """

    def __init__(self, *, allow_private: bool, inner: httpx.AsyncBaseTransport | None = None) -> None:
        self._allow_private = allow_private
        self._inner = inner or httpx.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, url = request.url.host, request.url
        first, *others = await self._resolve(host, url.port or (443 if url.scheme == "https" else 80))
        # The certificate is that of the name; so is the header, which was made before.
        request.extensions = {**request.extensions, "sni_hostname": host}
        for address in (first, *others):
            request.url = url.copy_with(host=address)
            try:
                return await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                # Nothing was sent, so the next one may be asked: of two families, often only one leads anywhere.
                failure = error
        raise failure

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a host, each once, the best first; all of them are checked."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx.ConnectError(f"{host} has no address: {error.strerror or error}") from None
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        if not self._allow_private and not all(map(is_public, addresses)):
            raise Forbidden(f"{host} is not on the public internet; allow_private lets it be called")
        return addresses[:_MOST_ADDRESSES]
