"""Commands over HTTP: finds the command of a request, gives it as the caller, and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ...errors import ErrorCode, InvalidInput, MethodNotAllowed, NotFound
from ...model.wire import PLACE_HEADER, channel_of, place_text
from ..answers import answer, nothing
from ..app_settings import AppSettings
from ..callers import caller_of
from ..exchange import exchange_of
from ..hosting.features import check_plan, with_flags
from ..paths import root_of, segments_of
from ..projects import Host
from .addresses import Addresses
from .bodies import has_body, read_object
from .operations import Operation, operations
from .rates import Rates
from .routes import Found, Routes

Handler = Callable[[Scope, Receive, Mapping[str, str]], Awaitable[Response]]

_HEALTHY = b'{"status":"ok"}'


class Api:
    """An ASGI application for requests. `events`: the server has event sockets, so that answers may name them."""

    def __init__(self, host: Host, settings: AppSettings, rates: Rates, *, events: bool) -> None:
        self._host = host
        self._settings = settings
        self._rates = rates
        self._addresses = Addresses(settings.public_url) if events else None
        self._routes: Routes[Handler] = Routes()
        for operation in operations().values():
            self._routes.add(operation.spec.verb, operation.template, partial(self._give, operation))
        self._routes.add("GET", "/health", self._health)
        self._routes.add("GET", "/openapi.json", self._openapi)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises a `UTDStreamException` instead of answering with it."""
        found = self._find(scope)
        exchange_of(scope).route = found.template
        method = scope["method"]
        handler = found.by_method.get("GET" if method == "HEAD" else method)
        if handler is None:
            allowed = sorted(found.by_method)
            raise MethodNotAllowed(f"no {method} here; send {' or '.join(allowed)}", details={"allowed": allowed})
        response = await handler(scope, receive, found.values)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> Found[Handler]:
        segments = segments_of(scope)
        found = None if segments is None else self._routes.find(segments)
        if found is None:
            raise NotFound("there is nothing at this path; look at /openapi.json", code=ErrorCode.ROUTE_NOT_FOUND)
        return found

    async def _give(self, operation: Operation, scope: Scope, receive: Receive, path: Mapping[str, str]) -> Response:
        exchange = exchange_of(scope)
        exchange.command = operation.spec.name
        caller = await caller_of(self._host, Headers(raw=scope["headers"]))
        project = caller.hosted.project
        exchange.app_id, exchange.credential = project.app_id, caller.credential.value
        caller.check_may_give(operation.command)
        check_plan(project, operation.command)
        self._rates.admit(caller)
        headers = dict(scope["headers"])
        body = await read_object(headers, receive, self._settings) if has_body(headers) else {}
        command = operation.binding.bind(path, scope["query_string"], body)
        result = await caller.hosted.engine.execute(command, actor=caller.actor, idempotency_key=_key(scope["headers"]))
        if operation.spec.result is None:
            response = nothing()
        else:
            result = with_flags(result, project)
            if self._addresses is not None:
                result = self._addresses.with_events(result, scope, project.key)
            response = answer(operation.body(result), operation.status)
        channel = channel_of(command)
        head = None if channel is None else caller.hosted.engine.head(channel)
        if head is not None:
            response.add(PLACE_HEADER, place_text(head.epoch, head.offset))
        return response

    async def _health(self, scope: Scope, receive: Receive, path: Mapping[str, str]) -> Response:
        return answer(_HEALTHY)

    async def _openapi(self, scope: Scope, receive: Receive, path: Mapping[str, str]) -> Response:
        from .openapi import document

        # Making it takes a while, which nobody else should wait for; it is made once.
        return answer(await asyncio.to_thread(document, root_of(scope)))


def _key(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """What the caller knows the command by. Raises `InvalidInput` for several."""
    keys = [value for name, value in headers if name == b"idempotency-key"]
    if len(keys) > 1:
        raise InvalidInput("several idempotency keys; send one")
    return keys[0].decode("latin-1") if keys else None
