"""Requests: one answer each, in this package's words, and again where that is safe and makes sense."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeVar

import httpx

from ...concurrency import Clock, within
from ...errors import DeadlineExceeded, Unavailable
from ...model.wire import PLACE_HEADER, HttpRequest, read_place
from .answers import Again, refusal_of
from .settings import RemoteSettings

T = TypeVar("T")


class Answer(NamedTuple):
    """`place`: epoch and offset of the channel that it is about, where it says so."""

    body: bytes
    place: tuple[str, int] | None


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
        raise refusal_of(base_url, response)

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
            wait += again.after
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
