"""What a proxy in front of the server says about the client: believed of those that are configured, of nobody else.

`X-Forwarded-For` is read from its end: each trusted proxy adds whom it heard, so the first address that is no proxy's
is the client's, and what stands before that may be invented. `X-Forwarded-Proto` and `X-Forwarded-Host` are those of
the proxy nearest to the client, so their first value counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

from ..errors import InvalidInput

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")
_SECURE = {"http": "https", "ws": "wss"}


class TrustedProxies:
    """`networks`: addresses or networks ("10.0.0.0/8", "::1") whose forwarded headers are believed; "unix" is a proxy
    that is connected by a Unix socket, which has no address. Raises `InvalidInput` for what is neither."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._unix = False
        self._networks: list[IPv4Network | IPv6Network] = []
        for network in networks:
            if network == "unix":
                self._unix = True
                continue
            try:
                self._networks.append(ip_network(network))
            except ValueError as error:
                raise InvalidInput(f"a trusted proxy is an address, a network or 'unix': {error}; change it") from None
        self._trusts = lru_cache(maxsize=1_024)(self._look_up)

    def trusts(self, address: str) -> bool:
        """Whether whoever connects from this address is a proxy that is believed; a Unix socket has none: ""."""
        return bool(self._networks or self._unix) and self._trusts(address)

    def seen_through(self, scope: Scope) -> Scope:
        """The scope as it would be had the client connected to the server itself; the same one where it did."""
        if not (self._networks or self._unix):
            return scope
        client = scope.get("client")
        if not self._trusts(client[0] if client else ""):
            return scope
        headers = Headers(raw=scope["headers"])
        seen = dict(scope)
        if (address := self._client(headers)) is not None:
            seen["client"] = (address, 0)
        if _first(headers, "x-forwarded-proto").lower() in ("https", "wss"):
            seen["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])
        if (host := _first(headers, "x-forwarded-host")) and is_host(host):
            seen["headers"] = [
                *((name, value) for name, value in scope["headers"] if name != b"host"),
                (b"host", host.encode()),
            ]
        return seen

    def _client(self, headers: Headers) -> str | None:
        said = [address.strip() for value in headers.getlist("x-forwarded-for") for address in value.split(",")]
        address = None
        for said_address in reversed(said):
            address = _plain(said_address)
            if address is None or not self._trusts(address):
                break
        return address

    def _look_up(self, address: str) -> bool:
        if not address:
            return self._unix
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._networks)


def is_host(value: str) -> bool:
    """Whether it is a host with or without a port, as an URL may hold it."""
    return _HOST.match(value) is not None


def _first(headers: Headers, name: str) -> str:
    return headers.get(name, "").partition(",")[0].strip()


def _plain(address: str) -> str | None:
    """An address without the port that some proxies add; None for what is no address."""
    if address.startswith("["):
        address = address[1:].partition("]")[0]
    elif address.count(":") == 1:
        address = address.partition(":")[0]
    try:
        return str(ip_address(address))
    except ValueError:
        return None
