"""ICE candidates on the loopback interface.

aioice leaves out exactly 127.0.0.1, so two peers on a machine that has nothing else find no way. What follows changes
that for the peer connections of this plugin alone: other users of aioice in the process keep what they had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from aioice import ice

from .settings import Loopback

ADDRESS = "127.0.0.1"

_policy: ContextVar[Loopback] = ContextVar("utd_webrtc_p2p_loopback", default=Loopback.NEVER)


@contextmanager
def loopback(policy: Loopback) -> Iterator[None]:
    """Candidates gathered inside the block, also by tasks begun there, follow `policy`."""
    if policy is not Loopback.NEVER:
        _install()
    token = _policy.set(policy)
    try:
        yield
    finally:
        _policy.reset(token)


def _install() -> None:
    found: Callable[[bool, bool], list[str]] = ice.get_host_addresses
    if getattr(found, "with_loopback", False):
        return

    def get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        addresses = found(use_ipv4, use_ipv6)
        match _policy.get():
            case Loopback.ALWAYS if use_ipv4 and ADDRESS not in addresses:
                return [ADDRESS, *addresses]
            case Loopback.AUTO if use_ipv4 and not addresses:
                return [ADDRESS]
        return addresses

    get_host_addresses.with_loopback = True  # type: ignore[attr-defined]  # a mark on our own function
    ice.get_host_addresses = get_host_addresses
