"""Answers in the one format that the server has: JSON, and errors as `{message, code, details?}`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import ceil
from typing import Any

from starlette.responses import Response

from ..errors import Closed, ErrorCode, StoreFailed, Unavailable, UTDStreamException

_ALWAYS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
"""Answers hold tokens, and change with every command; and a browser that is led to one shows it as text, if at all."""
_JSON = (b"content-type", b"application/json")


class Answer(Response):
    """An answer whose headers need no looking at: made in a third of the time."""

    def __init__(self, body: bytes | None, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.status_code = status
        self.background = None
        self.body = body or b""
        self.raw_headers = [*_ALWAYS]
        if body is not None:
            self.raw_headers += (_JSON, (b"content-length", b"%d" % len(body)))
        for name, value in (headers or {}).items():
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """One more header; `name` in lower case."""
        self.raw_headers.append((name.encode("latin-1"), value.encode("latin-1")))


def answer(body: bytes, status: int = 200) -> Answer:
    """An answer with a body of JSON."""
    return Answer(body, status)


def nothing() -> Answer:
    """Done, and there is nothing to say."""
    return Answer(None, 204)


def as_told(error: UTDStreamException) -> UTDStreamException:
    """The error as somebody outside has it: an engine is closed while its server starts or stops; which store failed,
    and in what way, is for the log."""
    if isinstance(error, Closed):
        return Unavailable("the server is starting or stopping; try again in a moment")
    if isinstance(error, StoreFailed):
        return StoreFailed("the server's store failed; try again in a moment, under the same Idempotency-Key")
    return error


def refusal(error: UTDStreamException) -> Response:
    """The answer that says what went wrong, with the headers that belong to its status."""
    error = as_told(error)
    content: dict[str, Any] = {"message": error.message, "code": error.code}
    if error.details:
        content["details"] = error.details
    body = json.dumps(content, default=str, ensure_ascii=False).encode(errors="backslashreplace")
    return Answer(body, error.status_code, _headers(error))


def failure() -> Response:
    """The answer to a mistake of ours; the log has the rest, under the request's id."""
    return refusal(UTDStreamException("the server failed; report it with the request id", code=ErrorCode.INTERNAL))


def _headers(error: UTDStreamException) -> dict[str, str]:
    match error.status_code:
        case 401:
            return {"www-authenticate": "Bearer"}
        case 405:
            return {"allow": ", ".join(error.details.get("allowed", ()))}
        case 408:
            # What is left of the body is not worth waiting for.
            return {"connection": "close"}
        case 429 | 503:
            return {"retry-after": str(max(1, ceil(error.details.get("retry_after", 1))))}
    return {}
