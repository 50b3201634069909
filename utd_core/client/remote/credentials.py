"""Who a link speaks for: a user token that is renewed before it expires.

A token is had again in the way in which it was had first: of the engine, for the publishable key, or of the
application's own backend, which decides anew whether this user may have one.
"""

from __future__ import annotations

import logging
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic_core import from_json

from ...concurrency import Clock, TaskScope
from ...errors import InvalidInput, Refused, Unauthenticated, UTDStreamException
from ...model.codec import adapter
from ...model.commands import CreateSession
from ...model.results import UserSession
from ...model.wire import request_of
from .answers import result_of
from .errands import Shared
from .requests import Answer, Requests
from .settings import RemoteSettings

log = logging.getLogger("utd_core.client")

Headers = Mapping[str, str] | Callable[[], Awaitable[Mapping[str, str]]]
"""Headers of a request, or what gets them when they are needed."""

_SESSION = adapter(UserSession)
_SOON = 1.0
"""Seconds between two renewals at the least, however short tokens live."""


class Credentials:
    """`headers`: what whoever mints sessions at `base_url` wants to see. `renewed(token)` is told of each new token."""

    def __init__(
        self,
        requests: Requests,
        scope: TaskScope,
        clock: Clock,
        settings: RemoteSettings,
        *,
        base_url: str,
        headers: Headers,
        renewed: Callable[[str], None],
    ) -> None:
        self._requests = requests
        self._scope = scope
        self._clock = clock
        self._settings = settings
        self._base_url = base_url
        self._headers = headers
        self._on_renewed = renewed
        self._command: CreateSession | None = None
        self._session: UserSession | None = None
        self._renew_at = 0.0
        self._renewing = Shared(scope, self._mint, "renew")
        self._keeping = False

    @property
    def session(self) -> UserSession | None:
        """Who is signed in, with the present token."""
        return self._session

    @property
    def identity(self) -> str:
        return "" if self._command is None else self._command.identity

    async def sign_in(self, identity: str, *, name: str, device_id: str) -> UserSession:
        """Get a session. Raises `Unauthenticated`, `Forbidden`, `Banned`, `InvalidInput`, `Unavailable`."""
        command = CreateSession(identity=identity, name=name, device_id=device_id)
        self._adopt(await self._requests.insist(lambda: self._ask(command), identity))
        self._command = command
        if not self._keeping:
            self._keeping = True
            self._scope.start(self._keep, name="token")
        assert self._session is not None
        return self._session

    def token(self) -> str:
        """The present token. Raises `Unauthenticated` where nobody is signed in."""
        if self._session is None:
            raise Unauthenticated("nobody is signed in; call authenticate() first")
        return self._session.user_token

    async def renew(self, stale: str) -> str:
        """Another token than this one, which was refused. Raises as `sign_in`."""
        if self._session is None or self._session.user_token == stale:
            await self._renewing()
        return self.token()

    async def _mint(self) -> None:
        command = self._command
        assert command is not None, "somebody is signed in"
        self._adopt(await self._requests.insist(lambda: self._ask(command), command.identity))
        assert self._session is not None
        self._on_renewed(self._session.user_token)

    async def _ask(self, command: CreateSession) -> UserSession:
        headers = self._headers
        answer: Answer = await self._requests.ask(
            self._base_url, request_of(command), await _given(headers) if callable(headers) else headers
        )
        session: UserSession = result_of(_SESSION, answer.body, "session")
        if session.identity != command.identity:
            raise Unauthenticated(
                f"{self._base_url} signs in {session.identity!r} where {command.identity!r} was asked for; mend that"
            )
        return session

    def _adopt(self, session: UserSession) -> None:
        self._session = session
        life = _lifetime(session.user_token) or session.expires_at - self._clock.now()
        self._renew_at = self._clock.monotonic() + max(_SOON, life * self._settings.renew_after)

    async def _keep(self) -> None:
        """Renew the token in time, as long as that is allowed."""
        while True:
            await self._clock.sleep(self._renew_at - self._clock.monotonic())
            if self._clock.monotonic() < self._renew_at:
                continue
            try:
                await self._renewing()
            except (Refused, Unauthenticated, InvalidInput) as error:
                log.warning("the token of %s is not renewed any more: %s", self.identity, error)
                self._keeping = False
                return
            except UTDStreamException as error:
                log.info("the token of %s cannot be renewed yet: %s", self.identity, error)
                self._renew_at = self._clock.monotonic() + self._settings.repeat.longest_wait


async def _given(headers: Callable[[], Awaitable[Mapping[str, str]]]) -> dict[str, str]:
    """What the application's function gives. Raises `Unauthenticated` where it fails."""
    try:
        found = await headers()
        return {str(name): str(value) for name, value in found.items()}
    except UTDStreamException:
        raise
    except Exception as error:
        raise Unauthenticated(
            f"the application's token_headers failed: {type(error).__name__}: {error}; mend that"
        ) from error


def _lifetime(token: str) -> float | None:
    """Seconds from a token's making to its end, by the clock of its maker; None where it does not say.

    What it says is believed for when to ask for the next one, and for nothing else.
    """
    try:
        claims = token.split(".")[1]
        said: Any = from_json(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        life = float(said["exp"]) - float(said["iat"])
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    return life if life > 0 else None
