"""What answers mean: results, and refusals in this package's words, whoever it was that answered.

Answers may hold tokens, so what they hold is not repeated in an error, nor what was made of it on the way there.
"""

from __future__ import annotations

from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from ...errors import ErrorCode, RateLimited, Unavailable, UTDStreamException
from ...model.wire import error_of

_LATER = frozenset({ErrorCode.UNAVAILABLE, ErrorCode.STORE_FAILED, ErrorCode.RATE_LIMITED})
"""Refusals that are none of the command, which nobody has looked at yet."""
_OF_PROXIES = frozenset({502, 503, 504})
_NOT_OURS = frozenset({404, 405})
_SHOWN = 80
_MOST_PROBLEMS = 4


class Again(Exception):
    """A failure that another attempt may not meet. `after`: seconds that the server wants to be left alone."""

    def __init__(self, error: UTDStreamException, after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


def result_of(adapter: TypeAdapter[Any], body: bytes, what: str) -> Any:
    """The value that an answer holds. Raises `Unavailable` for what is none."""
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_PROBLEMS]
    if problems[0]["type"] == "json_invalid":
        raise Unavailable(f"what was answered is no {what} but {_shown(body)}; is base_url right?")
    words = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}" for each in problems)
    raise Unavailable(f"what was answered is no {what} ({words}); is the server of another version?")


def refusal_of(base_url: str, response: httpx.Response) -> Exception:
    """What an answer that is no success is raised as; `Again` where another attempt makes sense."""
    status = response.status_code
    said = _said(response)
    if said is None:
        return _foreign(base_url, response)
    details = said.get("details")
    error = error_of(status, said["code"], said["message"], details if isinstance(details, dict) else None)
    return Again(error, _retry_after(response, error)) if error.code in _LATER else error


def _said(response: httpx.Response) -> dict[str, Any] | None:
    """The refusal that an engine answers, None where something else has answered."""
    try:
        said = from_json(response.content)
    except ValueError:
        return None
    if not isinstance(said, dict) or not all(isinstance(said.get(name), str) for name in ("code", "message")):
        return None
    return said


def _foreign(base_url: str, response: httpx.Response) -> Exception:
    """What something before the engine, or in its place, has answered."""
    status = response.status_code
    kind = response.headers.get("content-type", "nothing")
    words = f"{base_url} answered {status} with {kind}, as no engine does: {_shown(response.content)}"
    if response.is_redirect:
        words = f"{base_url} sends its clients to {response.headers.get('location')}; use that as base_url"
    details = {"status": status}
    if status in _OF_PROXIES:
        error: UTDStreamException = Unavailable(words, details=details)
        return Again(error, _retry_after(response, error))
    if status == 429:
        error = RateLimited(words, details=details)
        return Again(error, _retry_after(response, error))
    if 400 <= status < 500 and status not in _NOT_OURS:
        return error_of(status, "", words, details)
    return Unavailable(f"{words}; is base_url right?", details=details)


def _retry_after(response: httpx.Response, error: UTDStreamException) -> float:
    said = error.details.get("retry_after")
    if isinstance(said, int | float) and not isinstance(said, bool):
        return max(0.0, float(said))
    header = response.headers.get("retry-after", "")
    return float(header) if header.isascii() and header.isdigit() and len(header) < 7 else 0.0


def _shown(body: bytes) -> str:
    """How something begins that is no JSON."""
    return repr(body[:_SHOWN].decode(errors="replace"))
