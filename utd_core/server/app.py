"""The ASGI application: commands over HTTP, and whatever else is mounted; to be run, or put into another one."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from time import perf_counter
from typing import Any, Self

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ..concurrency import Closeable
from ..errors import Closed, ErrorCode, NotFound, RateLimited, UTDStreamException
from .answers import as_told, failure, refusal
from .app_settings import AppSettings
from .cors import Cors, Marks
from .exchange import REQUEST_ID, Exchange, Observer, begin, write_to_log
from .http.api import Api
from .http.rates import Rates
from .mounts import EVENTS, Mount, refuse_socket
from .paths import path_of
from .patience import LINGERS, PatientReceive
from .projects import Host
from .proxies import TrustedProxies
from .sites import site_of

log = logging.getLogger("utd_core.server")

TOO_LARGE = 413
PREFLIGHT = "(preflight)"
"""The route of a browser's question whether a page may send something."""


class App(Closeable):
    """Serves the projects of `host`.

    Run it (`uvicorn module:app`), or mount it in an application of your own. Run, it opens `resources` when the server
    starts and closes them when it ends. Mounted, it hears of neither: open what it serves yourself, and the application
    too (`async with app:`).

    `mounts` are parts with paths of their own; `observers` hear of every request. `rates` are those that it shares with
    them.
    """

    def __init__(
        self,
        host: Host,
        *,
        mounts: Sequence[Mount] = (),
        resources: Sequence[AbstractAsyncContextManager[Any]] = (),
        observers: Sequence[Observer] = (write_to_log,),
        settings: AppSettings | None = None,
        rates: Rates | None = None,
    ) -> None:
        settings = settings or AppSettings()
        self._mounts = [(prefix, mount) for mount in mounts for prefix in mount.prefixes]
        self._parts = tuple(mounts)
        self._resources = tuple(resources)
        self._observers = tuple(observers)
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self._cors = Cors(settings.origins)
        self._body_timeout = settings.body_timeout
        self._most_at_once = settings.connections_per_address
        self._under_way: Counter[str] = Counter()
        rates = Rates(settings.max_buckets) if rates is None else rates
        self._api = Api(host, settings, rates, events=any(prefix == EVENTS for prefix, _ in self._mounts))
        self._opened: list[Mount] = []
        self._opening = asyncio.Lock()
        self._ready = False
        self._closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        scope = self._proxies.seen_through(scope)
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            raise ValueError(f"this application knows no {scope['type']!r}")

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def open(self) -> None:
        """Get every mount ready; the first request does it otherwise. Idempotent. Raises `Closed`."""
        if self._ready:
            return
        async with self._opening:
            for mount in self._parts[len(self._opened) :]:
                self._check_open()
                await mount.open()
                self._opened.append(mount)
            self._check_open()
            self._ready = True

    async def aclose(self) -> None:
        """End every mount; requests are answered as unavailable from here on. Idempotent."""
        self._closed, self._ready = True, False
        async with self._opening:
            while self._opened:
                await self._opened.pop().aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the application was closed; make a new one")

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        exchange = begin(scope)
        token = REQUEST_ID.set(exchange.request_id)
        lingers = LINGERS in scope.get("extensions", ())
        noted = _noted(exchange, send, self._cors.marks(scope), lingers)
        site = site_of(exchange.client)
        self._under_way[site] += 1
        try:
            response = await self._answer(exchange, scope, PatientReceive(receive, self._body_timeout), noted)
            if response is not None:
                await response(scope, receive, noted)
        finally:
            self._under_way[site] -= 1
            if not self._under_way[site]:
                del self._under_way[site]
            exchange.seconds = perf_counter() - began
            for observe in self._observers:
                observe(exchange)
            REQUEST_ID.reset(token)

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """Have the request answered; or the answer to what went wrong before that."""
        try:
            self._check_address(exchange.client)
            preflight = self._cors.preflight(scope)
            if preflight is not None:
                exchange.route = PREFLIGHT
                return preflight
            await self.open()
            await (self._mounted(scope) or self._api)(scope, receive, send)
        except ClientDisconnect:
            return None
        except UTDStreamException as raised:
            if exchange.status:
                raise
            exchange.code = as_told(raised).code
            if as_told(raised).status_code >= 500:
                log.warning("%s [%s]", raised, exchange.request_id, extra={"request_id": exchange.request_id})
            return refusal(raised)
        except Exception:
            exchange.code = ErrorCode.INTERNAL.value
            log.exception("request %s failed", exchange.request_id, extra={"request_id": exchange.request_id})
            if exchange.status:
                raise
            return failure()
        return None

    def _check_address(self, address: str) -> None:
        """Raise `RateLimited` where one address has more requests under way than it may."""
        most = self._most_at_once
        if most is not None and address and self._under_way[site_of(address)] > most:
            raise RateLimited(
                f"your address has {most} requests under way, as many as it may; wait for their answers",
                details={"retry_after": 1},
            )

    def _mounted(self, scope: Scope) -> Mount | None:
        path = path_of(scope)
        for prefix, mount in self._mounts:
            if path == prefix or (prefix.endswith("/") and path.startswith(prefix)):
                return mount
        return None

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.open()
            mount = self._mounted(scope)
            if mount is None:
                raise NotFound("there is no socket at this path; look at its URL", code=ErrorCode.ROUTE_NOT_FOUND)
        except UTDStreamException as error:
            await _turn_away(error, scope, receive, send)
        else:
            await mount(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                for resource in self._resources:
                    await stack.enter_async_context(resource)
                stack.push_async_callback(self.aclose)
                await self.open()
            except Exception as error:
                log.exception("the server does not start")
                await stack.aclose()
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await stack.aclose()
        await send({"type": "lifespan.shutdown.complete"})


async def _turn_away(error: UTDStreamException, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a socket before it is open, with the reason where the server can tell it."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await receive()
        await refusal(error)(scope, receive, send)
    else:
        await refuse_socket(receive, send)


def _noted(exchange: Exchange, send: Send, marks: Marks, lingers: bool) -> Send:
    """Send, and note what was; every answer has the request's id, and these marks. `lingers`: the connection is good
    for more although nobody has read all of a request's body."""

    async def noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            identified = (b"x-request-id", exchange.request_id.encode())
            last = () if lingers or exchange.status != TOO_LARGE else ((b"connection", b"close"),)
            message = {**message, "headers": [*message.get("headers", ()), identified, *marks, *last]}
        await send(message)

    return noted
