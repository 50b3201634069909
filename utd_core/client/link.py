"""The one interface through which a client reaches an engine, embedded or on the network."""

from __future__ import annotations

from typing import Any, Protocol

from ..broker.base import Recover, Subscription
from ..concurrency import Clock
from ..media.backend import ConnectOptions, JoinTicket, MediaBackend, MediaConnection
from ..model.command import Command
from ..model.results import UserSession, UTDTokenResponse


class MediaLink(Protocol):
    """The media half: all that a `UTDRoom` needs."""

    @property
    def clock(self) -> Clock:
        """What every wait of the client runs on."""
        ...

    async def connect_media(self, ticket: UTDTokenResponse, options: ConnectOptions) -> MediaConnection:
        """Connect to the media room of a ticket. Raises `ConnectFailed`, `DeadlineExceeded`, `BackendNotFound`."""
        ...


class EngineLink(MediaLink, Protocol):
    """One identity on one device; it signs in once, and every command after that is its own."""

    @property
    def session(self) -> UserSession | None:
        """Who is signed in, with the token of this moment; None before `authenticate`."""
        ...

    async def authenticate(self, identity: str, *, name: str, device_id: str) -> UserSession:
        """Sign in. Raises `InvalidInput`, `Unauthenticated`, `Banned`."""
        ...

    async def execute(self, command: Command, *, idempotency_key: str | None = None) -> Any:
        """Do what the command says; answers `command.spec.result`. Raises what the rules raise, and `Closed`.

        A caller that is cancelled does not undo its command.
        """
        ...

    async def subscribe(self, channel: str, *, recover: Recover | None = None) -> Subscription:
        """Follow a channel from now on, or from the place of `recover`. Raises `Forbidden`, `NotFound`, `Closed`."""
        ...

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription. Idempotent."""
        ...

    async def aclose(self) -> None:
        """Free what the link holds; afterwards its methods raise `Closed`. Idempotent."""
        ...


class BackendLink:
    """A media backend alone, for a `UTDRoom` without an engine: tickets come from the application's own server."""

    def __init__(self, backend: MediaBackend, clock: Clock) -> None:
        self.backend = backend
        self.clock = clock

    async def connect_media(self, ticket: UTDTokenResponse, options: ConnectOptions) -> MediaConnection:
        return await self.backend.connect(JoinTicket(ticket.url, ticket.token, ticket.expires_at), options)
