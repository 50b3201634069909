"""One request to one endpoint."""

from __future__ import annotations

import httpx

from ...concurrency import Clock, within
from ...errors import DeadlineExceeded, Forbidden, UTDStreamException
from ...store.outbox import Parcel
from ...version import __version__
from .addresses import GuardedTransport
from .endpoints import WebhookEndpoint
from .settings import WebhookSettings
from .signatures import SIGNATURE, sign

_MOST_READ = 65_536
"""Bytes of an answer that are read so that its connection can be used again; what they say is of no interest."""
_MOST_REASON = 200
_CONNECTS = 3
"""Addresses that may be silent before the time is over."""


class NotTaken(Exception):
    """The endpoint did not take it; the message says why, in few words and without what was sent."""


class Sender:
    """Sends to one endpoint; `transport` in the place of the network."""

    def __init__(
        self,
        endpoint: WebhookEndpoint,
        settings: WebhookSettings,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._clock = clock
        guarded = transport or GuardedTransport(allow_private=settings.allow_private)
        # The time of the whole is bounded below; an address that does not answer leaves some of it for the next one.
        timeout = httpx.Timeout(settings.timeout, connect=settings.timeout / _CONNECTS)
        # A redirect might lead anywhere, so none is followed.
        self._client = httpx.AsyncClient(transport=guarded, timeout=timeout, follow_redirects=False, trust_env=False)

    async def aclose(self) -> None:
        """Idempotent."""
        await self._client.aclose()

    async def send(self, parcel: Parcel) -> None:
        """Have it taken. Raises `NotTaken`."""
        if not self._settings.allow_http and self._endpoint.url.startswith("http:"):
            raise NotTaken("the URL has no TLS; allow_http lets it be called")
        body = body_of(parcel, self._clock.now())
        headers = {
            "content-type": "application/json",
            "user-agent": f"utd-core/{__version__}",
            SIGNATURE: sign(body, self._endpoint.secrets),
        }
        try:
            await within(self._clock, self._settings.timeout, self._post(body, headers), "")
        except DeadlineExceeded:
            raise NotTaken(f"there was no answer within {self._settings.timeout:g} s") from None
        except Forbidden as error:
            raise NotTaken(error.message[:_MOST_REASON]) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UTDStreamException) as error:
            raise NotTaken(f"{type(error).__name__}: {error}".removesuffix(": ")[:_MOST_REASON]) from None

    async def _post(self, body: bytes, headers: dict[str, str]) -> None:
        async with self._client.stream("POST", self._endpoint.url, content=body, headers=headers) as response:
            if not response.is_stream_consumed:
                await _drain(response)
        if not response.is_success:
            where = " and leads elsewhere, which is not followed" if response.is_redirect else ""
            raise NotTaken(f"it answered {response.status_code}{where}")


async def _drain(response: httpx.Response) -> None:
    read = 0
    async for chunk in response.aiter_raw():
        read += len(chunk)
        if read > _MOST_READ:
            return


def body_of(parcel: Parcel, now: float) -> bytes:
    """The bytes of one try: what is told, and before it when, and how often it was tried."""
    return b'{"sent_at":%.3f,"attempt":%d,' % (now, parcel.tries + 1) + parcel.outgoing.payload[1:]
