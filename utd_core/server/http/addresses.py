"""Tells clients where events are: fills `ws_url` into whatever carries a user token."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from ...errors import InvalidInput
from ...model.results import UserSession, UTDCall, UTDTokenResponse
from ..mounts import EVENTS
from ..paths import root_of
from ..proxies import is_host

_SOCKETS = {"http": "ws", "https": "wss"}


class Addresses:
    """`public_url`: where clients reach the server; None: where the request came to. Raises `InvalidInput`."""

    def __init__(self, public_url: str | None) -> None:
        self._public: str | None = None
        if public_url is not None:
            parts = urlsplit(public_url)
            if parts.scheme not in _SOCKETS or not is_host(parts.netloc):
                raise InvalidInput(f"a public URL is http(s)://host, got {public_url!r:.200}; change it")
            self._public = f"{_SOCKETS[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}"

    def with_events(self, result: Any, scope: Scope, key: str) -> Any:
        """The result, with the URL of the event socket where it holds a user token."""
        match result:
            case UserSession() | UTDTokenResponse():
                return replace(result, ws_url=self._events(scope, key))
            case UTDCall(ticket=UTDTokenResponse() as ticket):
                return replace(result, ticket=replace(ticket, ws_url=self._events(scope, key)))
        return result

    def _events(self, scope: Scope, key: str) -> str:
        return f"{self._public or _came_to(scope)}{EVENTS}{quote(key, safe='')}"


def _came_to(scope: Scope) -> str:
    host = Headers(scope=scope).get("host", "")
    if not is_host(host):
        name, port = scope.get("server") or ("localhost", None)
        host = name if port is None else f"{name}:{port}"
    return f"{_SOCKETS.get(scope['scheme'], 'ws')}://{host}{quote(root_of(scope))}"
