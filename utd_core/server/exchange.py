"""One HTTP request and what became of it: for the log, the metrics, and whoever wants to find it again.

- Every request has an id: that of the caller (`X-Request-Id`) where it is well formed, else a new one. It is in the
  answer and in each line of the log about it.
- What is noted are names of routes, never paths or headers, so that no token or secret gets into a log.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count

from starlette.types import Scope

log = logging.getLogger("utd_core.server")

REQUEST_ID: ContextVar[str] = ContextVar("utd_request_id", default="")
"""The request that the running code works for; empty outside of one."""

_KEY = "utd_core.exchange"
_PROCESS = secrets.token_hex(6)
"""No two processes number their requests alike."""
_COUNT = count(1)
_WELL_FORMED = re.compile(rb"[A-Za-z0-9._:-]{1,64}\Z")


@dataclass(slots=True)
class Exchange:
    """`route`: the template ("/rooms/{room}"), empty where no route matched. `status` 0: the client went away before
    it was answered. `seconds`: until the answer was handed to the server. `code`: of the error that was answered.
    `command`, `app_id` and `credential` are empty until they are known."""

    request_id: str
    method: str
    client: str = ""
    route: str = ""
    command: str = ""
    app_id: str = ""
    credential: str = ""
    status: int = 0
    code: str = ""
    seconds: float = 0.0


Observer = Callable[[Exchange], None]
"""Hears of every request once it is answered. Called where requests are served: it must not wait, nor raise."""


def exchange_of(scope: Scope) -> Exchange:
    """What is noted about the request of this scope."""
    found = scope[_KEY]
    assert isinstance(found, Exchange)
    return found


def begin(scope: Scope) -> Exchange:
    """Note a new request in its scope."""
    client = scope.get("client")
    exchange = Exchange(_request_id(scope), scope["method"], client[0] if client else "")
    scope[_KEY] = exchange
    return exchange


def write_to_log(exchange: Exchange) -> None:
    """A line per request, at INFO; its parts are attributes of the record, too."""
    if not log.isEnabledFor(logging.INFO):
        return
    log.info(
        "%s %s %s %.1f ms%s [%s]",
        exchange.method,
        exchange.route or "(no route)",
        exchange.status or "(gone)",
        exchange.seconds * 1e3,
        f" {exchange.code}" if exchange.code else "",
        exchange.request_id,
        extra={
            "request_id": exchange.request_id,
            "method": exchange.method,
            "route": exchange.route,
            "command": exchange.command,
            "app_id": exchange.app_id,
            "credential": exchange.credential,
            "client": exchange.client,
            "status": exchange.status,
            "code": exchange.code,
            "milliseconds": exchange.seconds * 1e3,
        },
    )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _WELL_FORMED.match(value):
            return str(value, "ascii")
    return f"{_PROCESS}-{next(_COUNT):x}"
