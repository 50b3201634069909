"""What the media server posts, on its way to the engine that it concerns.

- The media backend knows whether its server sent a delivery; whatever it does not know is refused.
- A delivery comes to any node, and its engine may be at work on another one. So the node that took it hands it to the
  others over the bus, as it came, and each has its own backend take it.
- It is a hint, and may be lost: engines look for themselves from time to time. One that could not be handed on is
  refused, so that the media server posts it again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from secrets import token_hex

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ..bus import Listener, MessageBus
from ..errors import UTDStreamException
from .answers import nothing
from .exchange import exchange_of
from .http.bodies import read_bytes
from .mounts import check_method, refuse_socket
from .paths import path_of

log = logging.getLogger("utd_core.server")

PATH = "/webhooks/media"
MAX_BODY = 1_048_576

_TOPIC = "$media/webhooks"

Take = Callable[[bytes, Mapping[str, str]], None]
"""Takes a delivery, as `MediaControl.receive` does."""


class MediaWebhooks:
    """Takes deliveries, from the media server and from other nodes where there is a `bus`. A `Mount`."""

    def __init__(self, take: Take, bus: MessageBus | None = None) -> None:
        self.prefixes = (PATH,)
        self._take = take
        self._bus = bus
        self._node = token_hex(6)
        self._ear: Listener | None = None

    async def open(self) -> None:
        """Hear what other nodes were told. Raises `Unavailable` where the bus is away."""
        if self._bus is not None:
            self._ear = await self._bus.subscribe(_TOPIC, self._hear)

    async def aclose(self) -> None:
        """Idempotent."""
        ear, self._ear = self._ear, None
        if self._bus is not None and ear is not None:
            self._bus.unsubscribe(ear)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await refuse_socket(receive, send)
            return
        exchange_of(scope).route = path_of(scope)
        check_method(scope, "POST")
        request = Request(scope, receive)
        body, headers = await read_bytes(request, MAX_BODY), dict(request.headers)
        self._take(body, headers)
        if self._bus is not None:
            await self._bus.publish(_TOPIC, _written(self._node, headers, body))
        await nothing()(scope, receive, send)

    async def _hear(self, message: bytes) -> None:
        node, headers, body = _read(message)
        if node == self._node:
            return
        try:
            self._take(body, headers)
        except UTDStreamException as error:
            log.warning("a webhook of the media server that another node took is refused here: %s", error)


def _written(node: str, headers: Mapping[str, str], body: bytes) -> bytes:
    return json.dumps((node, headers)).encode() + b"\n" + body


def _read(message: bytes) -> tuple[str, dict[str, str], bytes]:
    title, _, body = message.partition(b"\n")
    node, headers = json.loads(title)
    return node, headers, body
