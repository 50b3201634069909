"""Who is let in: the way from a connection to a socket of a project, and back.

Whoever is not let in is told why by a code of the protocol, which only an open connection can carry. So every one is
accepted first.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import anyio
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from ...errors import Closed, UTDStreamException
from ..paths import segments_of
from ..projects import Host, Hosted
from ..sites import site_of
from . import frames
from .codes import CloseCode
from .dialogue import Dialogue
from .hub import Hub
from .outbox import closing_message
from .protocol import Refusal, check_version
from .settings import PusherSettings
from .socket import Socket
from .stack import EXTENSION, Wire

log = logging.getLogger("utd_core.server")


class Door:
    """Serves sockets at `/app/{key}`, where the project's app id is as good as its key.

    `hub_of` answers the hub of a project. `refused`: connections that were not let in, by close code.
    """

    def __init__(self, host: Host, settings: PusherSettings, hub_of: Callable[[Hosted], Awaitable[Hub]]) -> None:
        self.refused: Counter[int] = Counter()
        self._host = host
        self._settings = settings
        self._hub_of = hub_of
        self._addresses: Counter[str] = Counter()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its beginning to its end."""
        if (await receive())["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept"})
        address = site_of((scope.get("client") or ("",))[0])
        self._addresses[address] += 1
        try:
            hub = await self._hub(scope, address)
            with anyio.CancelScope() as life:
                wire: Wire | None = scope.get("extensions", {}).get(EXTENSION)
                socket = hub.connect(send, wire, life)
                try:
                    socket.send(frames.established(socket.id, self._settings.activity_timeout))
                    await _listen(hub.dialogue, socket, receive)
                finally:
                    hub.leave(socket)
        except Refusal as refusal:
            self.refused[refusal.code] += 1
            await send(frames.error(refusal.code, refusal.message).message)
            await send(closing_message(refusal.code, refusal.message))
        finally:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    async def _hub(self, scope: Scope, address: str) -> Hub:
        """Where the connection belongs. Raises `Refusal`."""
        match segments_of(scope):
            case ["app", key] | ["app", key, ""] if key:
                pass
            case _:
                raise Refusal(CloseCode.PATH_NOT_FOUND, "sockets are at /app/{key}")
        check_version(dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"))))
        most = self._settings.connections_per_address
        if most is not None and address and self._addresses[address] > most:
            raise Refusal(CloseCode.OVER_CAPACITY, f"your address has {most} connections, as many as it may")
        origin, origins = Headers(scope=scope).get("origin"), self._settings.origins
        if origin is not None and origins is not None and origin not in origins:
            raise Refusal(CloseCode.UNAUTHORIZED, "pages of this origin may not connect")
        try:
            hosted = await self._host.find_by_key(key) or await self._host.find(key)
            if hosted is None:
                raise Refusal(CloseCode.NO_SUCH_APP, "no project has this key")
            if hosted.project.suspended:
                raise Refusal(CloseCode.SUSPENDED, "this project is suspended")
            return await self._hub_of(hosted)
        except Closed:
            raise Refusal(CloseCode.RECONNECT, "the server ends; come back") from None
        except UTDStreamException as error:
            log.warning("a connection cannot be taken in: %s", error)
            raise Refusal(CloseCode.OVER_CAPACITY, "the server cannot take you in at the moment") from None


async def _listen(dialogue: Dialogue, socket: Socket, receive: Receive) -> None:
    """Hear a client out, until it is gone."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        if not socket.outbox.is_open:
            continue
        text = message.get("text")
        if text is None:
            socket.close(CloseCode.NOT_TEXT, "messages are text; this one was binary")
            continue
        try:
            await dialogue.hear(socket, text)
        except Exception:
            log.exception("a message of socket %s failed", socket.id)
            socket.close(CloseCode.INTERNAL, "a fault of the server; come back")
