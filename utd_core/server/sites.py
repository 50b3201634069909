"""Who is counted as one where connections and requests are counted by address."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

_SITE = 64
"""Bits: the least that a subscriber of IPv6 has (RFC 6177), who may take another address for each connection."""


@lru_cache(4_096)
def site_of(address: str) -> str:
    """An IPv4 address as it is, also where it is written as one of IPv6; of IPv6 the network that one subscriber has.
    What is no address stays what it is."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    # Those of this machine, and of the local network, are no subscriber's.
    return str(ip_network((found, _SITE), strict=False)) if found.is_global else str(found)
