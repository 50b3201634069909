"""The client's link to an engine on the network. Needs the extra `remote`."""

from __future__ import annotations

from .asgi import ASGITransport
from .link import RemoteLink
from .network import NetworkTransport
from .settings import RemoteSettings
from .transport import Socket, SocketClosed, Transport

__all__ = [
    "ASGITransport",
    "NetworkTransport",
    "RemoteLink",
    "RemoteSettings",
    "Socket",
    "SocketClosed",
    "Transport",
]
