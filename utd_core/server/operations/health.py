"""Whether a node is well, and its figures: what a load balancer, an orchestrator and Prometheus ask.

| path | answers |
|---|---|
| `/health` (in `http/api.py`) | 200 as long as the process answers at all; when it does not, start it again |
| `/ready` | 200 where requests may come; 503 while it starts, ends, or a part that it needs fails here |
| `/metrics` | the figures; where there is a token, for those who send it as a bearer |
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from hmac import compare_digest

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ...concurrency import Clock, within
from ...errors import NotFound, Unauthenticated, Unavailable, UTDStreamException
from ..answers import answer
from ..exchange import exchange_of
from ..mounts import check_method, refuse_socket
from ..paths import path_of
from .metrics import CONTENT_TYPE, Metrics
from .readings import Reading

READY, METRICS = "/ready", "/metrics"
OK, CANNOT_WRITE = "ok", "cannot_write"
PATIENCE = 2.0
"""Seconds that a check may take."""

Check = Callable[[], Awaitable[str | None]]
"""Returns where a part works, or is no better on any other node: then a word for what is wrong with it. Raises a
`UTDStreamException` where it does not."""


class Readiness:
    """Whether the node takes requests: not while it drains, nor while a check fails. `checks` are by name of a part."""

    def __init__(self, clock: Clock, checks: Mapping[str, Check]) -> None:
        self.draining = False
        self._clock = clock
        self._checks = checks

    async def check(self) -> dict[str, str]:
        """What each part says; raises `Unavailable` with that, as soon as one is not well."""
        if self.draining:
            raise Unavailable("this node ends; ask another one")
        names = list(self._checks)
        said = dict(zip(names, await asyncio.gather(*map(self._ask, names)), strict=True))
        if not all(is_fit for is_fit, _ in said.values()):
            details = {"checks": {name: word for name, (_, word) in said.items()}}
            raise Unavailable("this node is not ready; ask another one", details=details)
        return {name: word for name, (_, word) in said.items()}

    async def _ask(self, name: str) -> tuple[bool, str]:
        try:
            word = await within(self._clock, PATIENCE, self._checks[name](), f"{name} does not answer")
        except UTDStreamException as error:
            # The message may quote what the part is configured with.
            return False, error.code
        return True, word or OK


class OperationsMount:
    """`/ready`, and `/metrics` where there are metrics. `read` gathers what a page of them shows. A `Mount`."""

    def __init__(
        self,
        readiness: Readiness,
        metrics: Metrics | None,
        read: Callable[[], Awaitable[Reading]],
        token: str | None = None,
    ) -> None:
        self.prefixes = (READY, METRICS)
        self._readiness = readiness
        self._metrics = metrics
        self._read = read
        self._token = token

    async def open(self) -> None:
        """Nothing is to be done."""

    async def aclose(self) -> None:
        """Nothing is to be done."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await refuse_socket(receive, send)
            return
        path = exchange_of(scope).route = path_of(scope)
        check_method(scope, "GET")
        response = await (self._ready() if path == READY else self._page(scope))
        await response(scope, receive, send)

    async def _ready(self) -> Response:
        return answer(json.dumps({"status": "ready", "checks": await self._readiness.check()}).encode())

    async def _page(self, scope: Scope) -> Response:
        if self._metrics is None:
            raise NotFound("this server has no metrics; its setting `metrics` says so")
        if self._token is not None:
            shown = dict(scope["headers"]).get(b"authorization", b"")
            if not compare_digest(shown, f"Bearer {self._token}".encode()):
                raise Unauthenticated("the metrics are for those who send their token as a bearer")
        reading = await self._read()
        # With many projects it is long, and nobody else should wait for it.
        page = await asyncio.to_thread(self._metrics.page, reading)
        return Response(page, media_type=CONTENT_TYPE)
