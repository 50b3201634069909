"""Answers in the one format that the server has: JSON, and errors as `{message, code, details?}`."""

from __future__ import annotations

import json
from math import ceil
from typing import Any

from starlette.responses import Response

from ..errors import Closed, ErrorCode, Unavailable, UTDStreamException

_NOT_KEPT = {"cache-control": "no-store"}
"""Answers hold tokens, and change with every command."""


class JsonResponse(Response):
    """JSON that was made already."""

    media_type = "application/json"


def answer(body: bytes, status: int = 200) -> Response:
    """An answer with a body of JSON."""
    return JsonResponse(body, status, _NOT_KEPT)


def nothing() -> Response:
    """Done, and there is nothing to say."""
    return Response(None, 204, _NOT_KEPT)


def refusal(error: UTDStreamException) -> Response:
    """The answer that says what went wrong, with the headers that belong to its status."""
    if isinstance(error, Closed):
        # An engine is closed when its server stops, and is not open yet when it starts.
        error = Unavailable("the server is starting or stopping; try again in a moment")
    content: dict[str, Any] = {"message": error.message, "code": error.code}
    if error.details:
        content["details"] = error.details
    body = json.dumps(content, default=str, ensure_ascii=False).encode(errors="backslashreplace")
    return JsonResponse(body, error.status_code, {**_NOT_KEPT, **_headers(error)})


def failure() -> Response:
    """The answer to a mistake of ours; the log has the rest, under the request's id."""
    return refusal(UTDStreamException("the server failed; report it with the request id", code=ErrorCode.INTERNAL))


def _headers(error: UTDStreamException) -> dict[str, str]:
    match error.status_code:
        case 401:
            return {"www-authenticate": "Bearer"}
        case 405:
            return {"allow": ", ".join(error.details.get("allowed", ()))}
        case 413:
            # What is left of the body is not worth reading.
            return {"connection": "close"}
        case 429 | 503:
            return {"retry-after": str(max(1, ceil(error.details.get("retry_after", 1))))}
    return {}
