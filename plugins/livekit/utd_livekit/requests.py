"""Requests to the server's API, with its refusals and failures as errors of this package."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import aiohttp
from google.protobuf.message import DecodeError
from livekit import api

from utd_core.concurrency import Closeable
from utd_core.errors import (
    Closed,
    DeadlineExceeded,
    ErrorCode,
    InvalidInput,
    MediaError,
    NotFound,
    TooLarge,
    UTDStreamException,
)

from .refusals import UNTRUSTED
from .settings import LiveKitSettings

T = TypeVar("T")

OLDEST = "1.8"
"""The oldest release of the server that this was seen to work with."""
_DOUBTS = "; are the API key and secret the server's, and do the clocks agree to within a minute?"
_OLDER = f"; it knows no such request: is it older than {OLDEST}?"
_WHEREABOUTS = "is it up, and is this its address (LIVEKIT_URL, or the setting url)?"
_REFUSALS: Mapping[str, Callable[[str], UTDStreamException]] = {
    api.TwirpErrorCode.NOT_FOUND: lambda said: NotFound(said, code=ErrorCode.ROOM_NOT_FOUND),
    api.TwirpErrorCode.INVALID_ARGUMENT: InvalidInput,
    api.TwirpErrorCode.OUT_OF_RANGE: TooLarge,
    api.TwirpErrorCode.UNAUTHENTICATED: lambda said: MediaError(f"{said}{_DOUBTS}"),
    api.TwirpErrorCode.PERMISSION_DENIED: lambda said: MediaError(f"{said}{_DOUBTS}"),
    api.TwirpErrorCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    api.TwirpErrorCode.BAD_ROUTE: lambda said: MediaError(f"{said}{_OLDER}"),
    api.TwirpErrorCode.UNIMPLEMENTED: lambda said: MediaError(f"{said}{_OLDER}"),
}

_NOBODY_TOOK_IT = "no response from servers"
"""What LiveKit says 3 s after it passed a request on to a room or a participant that ended meanwhile."""
_NOT_TWIRP = "unknown"
"""What the client library makes of an error that is not in LiveKit's form."""
_UNAUTHORIZED = (401, 403)
_SERVER_ERROR = 500


class Unanswered(MediaError):
    """The server passed the request on and nobody took it: whom or what it is about may just have gone."""


class Requests(Closeable):
    """The API of one server. The session is made with the first request, on the loop that makes it."""

    def __init__(self, settings: LiveKitSettings) -> None:
        self._settings = settings
        self._api: api.LiveKitAPI | None = None
        self._closed = False
        self.under_way = 0

    @property
    def closed(self) -> bool:
        return self._closed

    def check_open(self) -> None:
        """Raises `Closed`."""
        if self._closed:
            raise Closed("this livekit backend was closed; make a new one")

    async def make(self, call: Callable[[Any], Awaitable[T]]) -> T:
        """The answer to a request of the room service. Raises what the table says, `MediaError` when it fails."""
        self.check_open()
        settings = self._settings
        if self._api is None:
            session = aiohttp.ClientSession()
            self._api = api.LiveKitAPI(
                settings.url, settings.api_key, settings.api_secret, session=session, failover=False
            )
            self._session = session
        self.under_way += 1
        try:
            # The client library does not mind its session's timeout.
            async with asyncio.timeout(settings.timeout):
                return await call(self._api.room)
        except api.TwirpError as error:
            self.check_open()
            raise _refused(error, settings.url) from error
        except TimeoutError as error:
            self.check_open()
            raise DeadlineExceeded(
                f"the LiveKit server at {settings.url} did not answer within {settings.timeout} s; {_WHEREABOUTS}"
            ) from error
        except DecodeError as error:
            self.check_open()
            raise _stranger(settings.url) from error
        except aiohttp.ClientConnectorCertificateError as error:
            self.check_open()
            raise MediaError(
                f"the LiveKit server at {settings.url} has a certificate that is not one to trust: "
                f"{error.certificate_error}; {UNTRUSTED}"
            ) from error
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            # A RuntimeError is what a session says that was closed while it was asked.
            self.check_open()
            raise MediaError(
                f"the LiveKit server at {settings.url} cannot be reached: {error}; {_WHEREABOUTS}"
            ) from error
        finally:
            self.under_way -= 1

    async def aclose(self) -> None:
        """End every request that is under way. Idempotent."""
        self._closed = True
        if self._api is not None:
            await self._session.close()


def _refused(error: api.TwirpError, url: str) -> UTDStreamException:
    """What the server says, as an error of this package."""
    if error.code == api.TwirpErrorCode.UNAVAILABLE and _NOBODY_TOOK_IT in error.message:
        return Unanswered("the LiveKit server passed the request on, and no node of it answered; try again")
    known = _REFUSALS.get(error.code)
    if known is None and error.status in _UNAUTHORIZED:
        known = _REFUSALS[api.TwirpErrorCode.UNAUTHENTICATED]
    elif known is None and error.code == _NOT_TWIRP and error.status < _SERVER_ERROR:
        return _stranger(url)
    return (known or MediaError)(f"the LiveKit server refused: {error.message or f'status {error.status}'}")


def _stranger(url: str) -> MediaError:
    return MediaError(f"what is at {url} answers like no LiveKit server; {_WHEREABOUTS}")
