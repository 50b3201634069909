"""How a link reaches its server: requests and one socket, over whatever carries them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import httpx


class SocketClosed(Exception):
    """The socket is over. `code` is that of the WebSocket's close, 1006 where there was none."""

    def __init__(self, code: int = 1006, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


class Socket(Protocol):
    """An open WebSocket of text messages. One task sends and one receives."""

    async def send(self, text: str) -> None:
        """Send a message; waits as long as the other side does not read. Raises `SocketClosed`."""
        ...

    async def receive(self) -> str:
        """The next message. Raises `SocketClosed`."""
        ...

    async def aclose(self) -> None:
        """Say goodbye and end it, in a moment at the most. Idempotent."""
        ...


class Transport(Protocol):
    """Carries the requests and the socket of one link, or of several. One that a link is handed stays its owner's."""

    async def open(self, urls: Collection[str]) -> httpx.AsyncClient:
        """Get ready for these servers; a client for requests, which the caller closes."""
        ...

    async def connect(self, url: str) -> Socket:
        """Open a socket. Takes its time: whoever calls sets a limit. Raises `Unavailable`."""
        ...

    async def aclose(self) -> None:
        """End what is still open. Idempotent."""
        ...
