"""Which web pages may call the API from a browser (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol).

- A browser asks before it sends a credential anywhere (a preflight); it is answered for the pages that are listed, and
  refused for all others. Without a list nothing of this is there, and pages of the server's own origin need none of it.
- Nothing is ever allowed by cookies: pages send the user token themselves.
- The project's secret has no place in a page, so the header that carries it is none that a page may send.
- It is about browsers alone. Whoever is none sends what he likes, and is stopped by the credentials.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from ..errors import Forbidden, InvalidInput
from ..model.command import COMMANDS
from ..model.wire import PLACE_HEADER, PREFIX
from .paths import path_of

ANY = "*"
MAX_AGE = 7_200
"""Seconds that a browser may remember an answer; longer than any of them does is of no use."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?\Z")
_SENT = "authorization, content-type, idempotency-key, traceparent, x-app-id, x-app-key, x-request-id"
_READ = f"retry-after, {PLACE_HEADER}, x-request-id"

Marks = tuple[tuple[bytes, bytes], ...]
"""Headers of an answer."""


class Cors:
    """`origins`: of pages that may call ("https://shop.example.com"), or "*" for every page. Raises `InvalidInput` for
    what is no origin."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(origins)
        for origin in self._origins - {ANY}:
            if not _ORIGIN.match(origin):
                raise InvalidInput(
                    f"an origin is a scheme and a host in lower case, as https://shop.example.com, got {origin!r:.80}"
                )
        verbs = sorted({command.spec.verb for command in COMMANDS.values()})
        self._allowed: Marks = (
            (b"access-control-allow-methods", ", ".join(verbs).encode()),
            (b"access-control-allow-headers", _SENT.encode()),
            (b"access-control-max-age", str(MAX_AGE).encode()),
        )

    def marks(self, scope: Scope) -> Marks:
        """What the answer to this request has, so that the page may read it; or that it differs from page to page."""
        if not self._origins or not _is_for_pages(scope):
            return ()
        if ANY in self._origins:
            return ((b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _READ.encode()))
        varies = (b"vary", b"Origin")
        origin = Headers(scope=scope).get("origin")
        if origin not in self._origins:
            return (varies,)
        allowed = (b"access-control-allow-origin", origin.encode())
        return (allowed, (b"access-control-expose-headers", _READ.encode()), varies)

    def preflight(self, scope: Scope) -> Response | None:
        """The answer to a browser that asks whether a page may send a request; None for what is no such question, or
        where there is no list. Raises `Forbidden` for a page that may not. The `marks` are still to be added."""
        if scope["method"] != "OPTIONS" or not self._origins or not _is_for_pages(scope):
            return None
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or "access-control-request-method" not in headers:
            return None
        if origin not in self._origins and ANY not in self._origins:
            raise Forbidden("pages of this origin may not call; the server's setting http.origins lists those that may")
        response = Response(None, 204)
        response.raw_headers.extend(self._allowed)
        return response


def _is_for_pages(scope: Scope) -> bool:
    """Commands and the signing of subscriptions; what is signed or scraped is none of a page's business."""
    return path_of(scope).startswith(f"{PREFIX}/")
