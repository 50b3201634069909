"""Where the parts of the server meet: the application hands requests over by the beginning of their path.

A mount is an ASGI application with paths of its own (event sockets, the trigger API, metrics). What it raises as a
`UTDStreamException` before it has answered is answered in the format of all errors, so it need not catch any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.types import Receive, Scope, Send

from ..errors import MethodNotAllowed

EVENTS = "/app/"
"""What the path of an event socket begins with; the project's key follows. Answers with a token name it (`ws_url`)."""


class Mount(Protocol):
    """A part of the server. Requests and sockets whose path (within the server) begins with one of `prefixes` are its.

    The scope is handed on as it came, but for what trusted proxies said; `paths.path_of(scope)` is the path within the
    server, whatever the server is mounted below.
    """

    @property
    def prefixes(self) -> Sequence[str]:
        """Each begins and ends with a slash, or is a whole path."""
        ...

    async def open(self) -> None:
        """Get ready. Called once, before the first request."""
        ...

    async def aclose(self) -> None:
        """End everything. Idempotent."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (`http`) or one socket (`websocket`)."""
        ...


def check_method(scope: Scope, method: str) -> None:
    """Raise `MethodNotAllowed` unless a request is made with the one method that its route takes. HEAD asks what GET
    does."""
    asked = scope["method"]
    if ("GET" if asked == "HEAD" else asked) != method:
        raise MethodNotAllowed(f"this route takes {method}", details={"allowed": [method]})


async def refuse_socket(receive: Receive, send: Send) -> None:
    """Close a socket before it is open: 1008, where nothing more can be said."""
    await receive()
    await send({"type": "websocket.close", "code": 1008})
