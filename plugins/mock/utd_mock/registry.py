"""The mock servers of this process, by the address in their join tickets."""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING

from utd_core.errors import InvalidInput
from utd_core.media.tokens import refusal

if TYPE_CHECKING:
    from .server import MockServer

SCHEME = "mock://"

# Weak: a server that a test forgot to close must not live as long as the process.
_servers: weakref.WeakValueDictionary[str, MockServer] = weakref.WeakValueDictionary()
_numbers = itertools.count(1)


def fresh_id() -> str:
    """An id that no server of this process has."""
    return next(name for name in (f"server-{number}" for number in _numbers) if name not in _servers)


def register(server: MockServer) -> None:
    """Make a server reachable. Raises `InvalidInput` when its id is taken."""
    if server.id in _servers:
        raise InvalidInput(f"a mock server {server.id!r} is running already; close it or choose another id")
    _servers[server.id] = server


def forget(server: MockServer) -> None:
    """The server is not reachable any more. Idempotent."""
    if _servers.get(server.id) is server:
        del _servers[server.id]


def reach(url: str) -> MockServer:
    """The server at `url`. Raises `ConnectFailed` when none is there."""
    server = _servers.get(url.removeprefix(SCHEME)) if url.startswith(SCHEME) else None
    if server is None:
        raise refusal(f"no mock server answers at {url!r}; it was closed, or runs in another process", "server_away")
    return server
