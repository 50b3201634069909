"""The link to an engine on the network: commands over HTTP, events over one WebSocket."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio
import httpx

from ...broker.base import Recover, Subscription
from ...concurrency import Clock, SystemClock, TaskScope
from ...errors import Closed, ErrorCode, InvalidInput, Unauthenticated
from ...media.backend import ConnectOptions, JoinTicket, MediaConnection
from ...model.channels import check_channel
from ...model.codec import adapter
from ...model.command import Command
from ...model.results import UserSession, UTDTokenResponse
from ...model.wire import channel_of, request_of
from ...store.base import Head
from ..policy import RetryPolicy
from .answers import result_of
from .credentials import Credentials, Headers
from .errands import Errand
from .events import Events
from .media import Media, MediaBackends
from .network import NetworkTransport
from .requests import Answer, Requests
from .settings import RemoteSettings
from .transport import Transport

T = TypeVar("T")


class RemoteLink:
    """Gives commands as an identity to the engine at `base_url`. See `EngineLink`.

    `app_id` and `app_key` are the project's publishable credentials. Sessions are minted at `base_url` for the key,
    where the project allows that, or at `token_base_url`: by the application's own backend, which knows its users.
    `token_headers` is what it wants to see (a login of the application's, say): a mapping, or a coroutine function
    that gets one each time. Without it the publishable key is sent.

    `media` is the backend to connect with, or settings of installed backends by name; without it they are made by the
    names in the tickets. `retry` rules how connections that do not last are opened again. A `transport` that is handed
    in stays its owner's to close. Raises `InvalidInput`.
    """

    def __init__(
        self,
        app_id: str,
        app_key: str,
        *,
        base_url: str,
        token_base_url: str | None = None,
        token_headers: Headers | None = None,
        media: Media | None = None,
        retry: RetryPolicy | None = None,
        settings: RemoteSettings | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._base_url = _check_url("base_url", base_url)
        self._token_base_url = (
            self._base_url if token_base_url is None else _check_url("token_base_url", token_base_url)
        )
        _check_credential("app_id", app_id)
        _check_credential("app_key", app_key)
        self.clock: Clock = clock or SystemClock()
        settings = settings or RemoteSettings()
        self._transport: Transport = NetworkTransport() if transport is None else transport
        self._owns_transport = transport is None
        self._scope = TaskScope(f"link to {self._base_url}")
        self._requests = Requests(self.clock, settings)
        self._credentials = Credentials(
            self._requests,
            self._scope,
            self.clock,
            settings,
            base_url=self._token_base_url,
            headers={"x-app-id": app_id, "x-app-key": app_key} if token_headers is None else token_headers,
            renewed=self._renewed,
        )
        self._events = Events(
            self._transport,
            self._credentials,
            self._scope,
            self.clock,
            settings,
            retry or RetryPolicy(),
            address=self._socket_address,
            base_url=self._base_url,
            key=app_key or app_id,
        )
        self._media = MediaBackends(media, self.clock)
        self._http: httpx.AsyncClient | None = None
        self._opening = anyio.Lock()
        self._given_up: set[Errand[Any]] = set()
        self._closed = False

    @property
    def session(self) -> UserSession | None:
        """Who is signed in, with the token of this moment."""
        return self._credentials.session

    async def authenticate(self, identity: str, *, name: str, device_id: str) -> UserSession:
        """Sign in. Raises as `EngineLink.authenticate`, and `Unavailable` where nobody is reached."""
        await self._open()

        async def sign_in() -> UserSession:
            return await self._credentials.sign_in(identity, name=name, device_id=device_id)

        return await self._errand(sign_in, "sign in").result()

    async def execute(self, command: Command, *, idempotency_key: str | None = None) -> Any:
        """Give a command. It is repeated, under one idempotency key, where the server was not there or was busy."""
        self._check_signed_in()
        spec = command.spec
        errand: Errand[Any]
        wanted = True

        async def give() -> Any:
            key = None if spec.query else idempotency_key or secrets.token_hex(16)
            return await self._give(command, key, lambda: wanted)

        if not spec.query:
            # What was given up goes on, and what is given after it is decided after it.
            for earlier in list(self._given_up):
                await earlier.settled()
        errand = self._errand(give, spec.name)
        try:
            return await errand.result()
        except anyio.get_cancelled_exc_class():
            wanted = False
            if not spec.query:
                self._given_up = {each for each in self._given_up if not each.is_settled} | {errand}
            raise

    async def subscribe(self, channel: str, *, recover: Recover | None = None) -> Subscription:
        self._check_signed_in()
        # A name that cannot be written down would get no answer.
        check_channel(channel)
        return await self._events.subscribe(channel, recover)

    def unsubscribe(self, subscription: Subscription) -> None:
        self._events.unsubscribe(subscription)

    async def connect_media(self, ticket: UTDTokenResponse, options: ConnectOptions) -> MediaConnection:
        self._check_open()
        backend = await self._media.get(ticket.backend)
        return await backend.connect(JoinTicket(ticket.url, ticket.token, ticket.expires_at), options)

    async def aclose(self) -> None:
        """End the socket and every request. Idempotent, from any task."""
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._scope.aclose()
            async with self._opening:
                http, self._http = self._http, None
            if http is not None:
                await http.aclose()
            await self._media.aclose()
            if self._owns_transport:
                await self._transport.aclose()

    async def _give(self, command: Command, key: str | None, wanted: Callable[[], bool]) -> Any:
        spec = command.spec
        request = request_of(command)
        headers = {} if key is None else {"idempotency-key": key}

        async def attempt() -> Answer:
            token = self._credentials.token()
            try:
                return await self._requests.ask(self._base_url, request, headers | _bearer(token))
            except Unauthenticated as error:
                if error.code == ErrorCode.AMBIGUOUS_CREDENTIALS:
                    raise
            fresh = await self._credentials.renew(token)
            return await self._requests.ask(self._base_url, request, headers | _bearer(fresh))

        answer = await self._requests.insist(attempt, self._credentials.identity, wanted)
        channel = channel_of(command)
        if answer.place is not None and channel is not None:
            await self._events.reach(channel, Head(*answer.place))
        if spec.result is None:
            return None
        return result_of(adapter(spec.result), answer.body, f"answer to {spec.name}")

    async def _open(self) -> None:
        """Raises `Closed`."""
        self._check_open()
        async with self._opening:
            if self._http is None:
                await self._scope.open()
                self._http = await self._transport.open({self._base_url, self._token_base_url})
                self._requests.use(self._http)
        self._check_open()

    def _errand(self, operation: Callable[[], Awaitable[T]], name: str) -> Errand[T]:
        self._check_open()
        return Errand(self._scope, operation, name)

    def _renewed(self, token: str) -> None:
        self._events.renewed(token)

    def _socket_address(self) -> str | None:
        """Where the engine says that its socket is. A backend's word is not taken: it may have reached the engine by an
        address of its own network."""
        session = self._credentials.session
        return None if session is None or self._token_base_url != self._base_url else session.ws_url

    def _check_signed_in(self) -> None:
        self._check_open()
        self._credentials.token()

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the client was closed; make a new one")


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _check_credential(name: str, value: object) -> None:
    """Raise `InvalidInput` for what fits into no header."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise InvalidInput(f"{name} is a string of visible characters; copy it from the project")


def _check_url(name: str, value: object) -> str:
    """The URL without a slash at its end. Raises `InvalidInput`."""
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise InvalidInput(f"{name} is where the engine is, such as https://rtc.example.com; got {value!r:.200}")
    return str(value).rstrip("/")
