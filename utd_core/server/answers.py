"""Answers in the one format that the server has: JSON, and errors as `{message, code, details?}`."""

from __future__ import annotations

import json
from math import ceil
from typing import Any

from starlette.responses import Response

from ..errors import Closed, ErrorCode, Unavailable, UTDStreamException

_ALWAYS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
"""Answers hold tokens, and change with every command; and a browser that is led to one shows it as text, if at all."""


class JsonResponse(Response):
    """JSON that was made already."""

    media_type = "application/json"


def answer(body: bytes, status: int = 200) -> Response:
    """An answer with a body of JSON."""
    return JsonResponse(body, status, _ALWAYS)


def nothing() -> Response:
    """Done, and there is nothing to say."""
    return Response(None, 204, _ALWAYS)


def as_told(error: UTDStreamException) -> UTDStreamException:
    """The error as somebody outside has it: an engine is closed while its server starts or stops."""
    return Unavailable("the server is starting or stopping; try again in a moment") if type(error) is Closed else error


def refusal(error: UTDStreamException) -> Response:
    """The answer that says what went wrong, with the headers that belong to its status."""
    error = as_told(error)
    content: dict[str, Any] = {"message": error.message, "code": error.code}
    if error.details:
        content["details"] = error.details
    body = json.dumps(content, default=str, ensure_ascii=False).encode(errors="backslashreplace")
    return JsonResponse(body, error.status_code, {**_ALWAYS, **_headers(error)})


def failure() -> Response:
    """The answer to a mistake of ours; the log has the rest, under the request's id."""
    return refusal(UTDStreamException("the server failed; report it with the request id", code=ErrorCode.INTERNAL))


def _headers(error: UTDStreamException) -> dict[str, str]:
    match error.status_code:
        case 401:
            return {"www-authenticate": "Bearer"}
        case 405:
            return {"allow": ", ".join(error.details.get("allowed", ()))}
        case 408 | 413:
            # What is left of the body is not worth waiting for.
            return {"connection": "close"}
        case 429 | 503:
            return {"retry-after": str(max(1, ceil(error.details.get("retry_after", 1))))}
    return {}
