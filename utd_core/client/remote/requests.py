"""Requests: one answer each, in this package's words, and again where that is safe and makes sense."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from ...concurrency import Clock, within
from ...errors import DeadlineExceeded, ErrorCode, RateLimited, Unavailable, UTDStreamException
from ...model.wire import PLACE_HEADER, HttpRequest, error_of, read_place
from .settings import RemoteSettings

T = TypeVar("T")

_LATER = frozenset({ErrorCode.UNAVAILABLE, ErrorCode.STORE_FAILED, ErrorCode.RATE_LIMITED})
"""Refusals that are none of the command, which nobody has looked at yet."""
_OF_PROXIES = frozenset({502, 503, 504})
_NOT_OURS = frozenset({404, 405})
_SHOWN = 80


class Answer(NamedTuple):
    """`place`: epoch and offset of the channel that it is about, where it says so."""

    body: bytes
    place: tuple[str, int] | None


class Again(Exception):
    """A failure that another attempt may not meet. `after`: seconds that the server wants to be left alone."""

    def __init__(self, error: UTDStreamException, after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


class Requests:
    """Of one link."""

    def __init__(self, clock: Clock, settings: RemoteSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._http: httpx.AsyncClient | None = None
        # An address that nobody ever answered at is more likely wrong than away.
        self._answered: set[str] = set()

    def use(self, http: httpx.AsyncClient) -> None:
        """What carries them from now on."""
        self._http = http

    async def ask(self, base_url: str, request: HttpRequest, headers: Mapping[str, str]) -> Answer:
        """One attempt. Raises what the server refuses it with, `Again` for what may pass, and `Unavailable`."""
        assert self._http is not None
        if request.body is not None:
            headers = {**headers, "content-type": "application/json"}
        sending = self._http.request(request.method, base_url + request.target, content=request.body, headers=headers)
        try:
            response = await within(
                self._clock,
                self._settings.request_timeout,
                sending,
                f"{base_url} did not answer within {self._settings.request_timeout:g} s",
            )
        except DeadlineExceeded as error:
            raise Again(error) from error
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            raise self._unreachable(base_url, error) from error
        self._answered.add(base_url)
        if response.is_success:
            place = response.headers.get(PLACE_HEADER)
            return Answer(response.content, None if place is None else read_place(place))
        raise _refusal(base_url, response)

    async def insist(
        self, attempt: Callable[[], Awaitable[T]], identity: str, wanted: Callable[[], bool] = lambda: True
    ) -> T:
        """What an attempt answers, the next one where one fails that is worth to be repeated; not when nobody wants it
        any more, or the server wants to be left alone for longer than patience lasts."""
        patience = self._settings.repeat.patience
        waits = self._settings.repeat.waits(identity)
        waited, timeouts = 0.0, 0
        while True:
            try:
                return await attempt()
            except Again as failed:
                again = failed
            timeouts += isinstance(again.error, DeadlineExceeded)
            wait = next(waits, None)
            if wait is None or timeouts > 1 or not wanted():
                raise again.error
            # Those who were told to come back at the same time do not come in the same instant.
            wait = wait + again.after if again.after else wait
            if waited + wait > patience:
                raise again.error
            waited += wait
            await self._clock.sleep(wait)

    def _unreachable(self, base_url: str, error: Exception) -> Exception:
        reason = _reason(error)
        unavailable = Unavailable(
            f"{base_url} cannot be reached: {reason or type(error).__name__}; is it right, and does the server run?"
        )
        unavailable.__cause__ = error
        if isinstance(reason, ssl.SSLError) or base_url not in self._answered:
            return unavailable
        return Again(unavailable)


def result_of(adapter: TypeAdapter[Any], body: bytes, what: str) -> Any:
    """The value that an answer holds. Raises `Unavailable` for what is none."""
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise Unavailable(
            f"what was answered is no {what} ({error.error_count()} problems): {_shown(body)}; "
            "the server is of another version, or something stands before it"
        ) from error


def _refusal(base_url: str, response: httpx.Response) -> Exception:
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


def _reason(error: BaseException) -> BaseException | None:
    """What the system said, below what the libraries made of it."""
    found: BaseException | None = None
    at: BaseException | None = error
    for _ in range(16):
        if at is None:
            break
        if isinstance(at, OSError):
            found = at
        at = at.__cause__ or at.__context__
    return found or (error if str(error) else None)


def _shown(body: bytes) -> str:
    return repr(body[:_SHOWN].decode(errors="replace"))
