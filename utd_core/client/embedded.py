"""The link to an engine in this process. Nothing else in the client touches the `Engine`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..broker.base import Recover, Subscription
from ..concurrency import Clock
from ..errors import Closed, Conflict, ConnectFailed, NotFound, Unauthenticated
from ..media.backend import ConnectOptions, JoinTicket, MediaConnection
from ..media.signalling import LocalSignalling
from ..model.channels import media_channel
from ..model.command import Actor, Command
from ..model.commands import CreateSession
from ..model.results import UserSession, UTDTokenResponse

if TYPE_CHECKING:
    from ..engine import Engine


class EmbeddedLink:
    """Gives commands as an identity, straight to the engine. See `EngineLink`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._actor: Actor | None = None
        self._session: UserSession | None = None
        self._closed = False

    @property
    def clock(self) -> Clock:
        return self._engine.clock

    @property
    def session(self) -> UserSession | None:
        return self._session

    async def authenticate(self, identity: str, *, name: str, device_id: str) -> UserSession:
        self._check_open()
        command = CreateSession(identity=identity, name=name, device_id=device_id)
        session: UserSession = await self._engine.execute(command)
        self._actor, self._session = Actor(identity, device_id, name), session
        return session

    async def execute(self, command: Command, *, idempotency_key: str | None = None) -> Any:
        return await self._engine.execute(command, actor=self._signed_in(), idempotency_key=idempotency_key)

    async def subscribe(self, channel: str, *, recover: Recover | None = None) -> Subscription:
        return await self._engine.subscribe(channel, actor=self._signed_in(), recover=recover)

    def unsubscribe(self, subscription: Subscription) -> None:
        self._engine.unsubscribe(subscription)

    async def connect_media(self, ticket: UTDTokenResponse, options: ConnectOptions) -> MediaConnection:
        self._check_open()
        backend = self._engine.backend
        join = JoinTicket(ticket.url, ticket.token, ticket.expires_at)
        if not backend.capabilities.signalling:
            return await backend.connect(join, options)
        return await backend.connect(join, replace(options, signalling=await self._signalling(ticket)))

    async def aclose(self) -> None:
        self._closed = True

    async def _signalling(self, ticket: UTDTokenResponse) -> LocalSignalling:
        try:
            desk = await self._engine.signalling(media_channel(ticket.room_name), actor=self._signed_in())
        except (Conflict, NotFound) as error:
            raise ConnectFailed(error.message, details={"reason": error.code}) from error
        return LocalSignalling(desk)

    def _signed_in(self) -> Actor:
        self._check_open()
        if self._actor is None:
            raise Unauthenticated("nobody is signed in; call authenticate() first")
        return self._actor

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the client was closed; make a new one")
