"""Projects: the applications that one server works for, each with an engine of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from hmac import compare_digest
from math import inf
from typing import Any, Protocol

from ..broker import Recover, Subscription
from ..concurrency import Clock
from ..engine.subscriptions import Admission
from ..errors import InvalidInput
from ..media.signalling import SignallingDesk
from ..model.command import THE_SERVER, Actor, Command
from ..store.base import Head
from .webhooks.endpoints import WebhookEndpoint


@dataclass(frozen=True, slots=True)
class ProjectFlags:
    """What a project may do. None where nobody has said: unknown is not no.

    `allow_app_key_identity_mint`: whoever has the publishable key may sign in as anybody. For development only.
    """

    allow_app_key_identity_mint: bool = False
    signaling_enabled: bool | None = None
    messaging_enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class ProjectLimits:
    """What a project's plan holds; None: as much as the server can carry. Raises `InvalidInput` below zero.

    `max_connections`: sockets at once. `commands_per_second`: commands of all its people together, `burst` of them at
    once; `identity_commands_per_second` and `identity_burst`: the same for one identity.
    """

    max_connections: int | None = None
    commands_per_second: float | None = None
    burst: int | None = None
    identity_commands_per_second: float | None = 20.0
    identity_burst: int | None = 60

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None:
                continue
            is_number = type(value) is int or (type(value) is float and each.type.startswith("float"))
            if not is_number or not 0 <= value < inf:
                number = "a whole number" if each.type.startswith("int") else "a number"
                raise InvalidInput(f"limit {each.name} is {number} from 0, or none, got {value!r:.80}")


@dataclass(frozen=True, slots=True)
class Project:
    """One application, and its credentials.

    `key` is public; `secrets` are not: the first is the one to sign with, the others are still accepted while a
    rotation is under way. `webhooks`: who is told what happens.
    """

    app_id: str
    key: str
    secrets: tuple[str, ...] = field(repr=False)
    name: str = ""
    flags: ProjectFlags = ProjectFlags()
    limits: ProjectLimits = ProjectLimits()
    suspended: bool = False
    webhooks: tuple[WebhookEndpoint, ...] = field(default=(), repr=False)

    @property
    def secret(self) -> str:
        return self.secrets[0]

    def has_secret(self, secret: str) -> bool:
        """Whether it is one of this project's, in a time that tells nothing about how much of it is right."""
        given = secret.encode()
        return sum(compare_digest(given, known.encode()) for known in self.secrets) > 0

    def has_key(self, key: str) -> bool:
        return compare_digest(key.encode(), self.key.encode())


class HostedEngine(Protocol):
    """What the server needs of an engine: an `Engine` in this process has it, and so has one in another node.

    Each method means what it means of `Engine`, and raises the same.
    """

    @property
    def app_id(self) -> str: ...

    @property
    def clock(self) -> Clock: ...

    async def execute(
        self, command: Command, *, actor: Actor = THE_SERVER, idempotency_key: str | None = None
    ) -> Any: ...

    def actor_of(self, user_token: str) -> Actor: ...

    async def subscribe(
        self, channel: str, *, actor: Actor = THE_SERVER, recover: Recover | None = None, capacity: int = 1_000
    ) -> Subscription: ...

    def unsubscribe(self, subscription: Subscription) -> None: ...

    async def admit(
        self, channel: str, ended: Callable[[Exception | None], None], *, actor: Actor = THE_SERVER
    ) -> Admission: ...

    def dismiss(self, admission: Admission) -> None: ...

    def head(self, channel: str) -> Head | None: ...

    async def signalling(self, channel: str, *, actor: Actor) -> SignallingDesk: ...


@dataclass(eq=False, frozen=True, slots=True)
class Hosted:
    """A project as it is now, and the engine that runs it."""

    project: Project
    engine: HostedEngine


class Host(Protocol):
    """Knows the projects of a server. Looked at for every request, so it answers from memory where it can."""

    async def find(self, app_id: str) -> Hosted | None:
        """The project of this id, None where there is none. Raises `StoreFailed`."""
        ...

    async def find_by_key(self, key: str) -> Hosted | None:
        """The same by its publishable key."""
        ...


class SingleHost:
    """One project, on an engine that somebody else opened and closes."""

    def __init__(self, engine: HostedEngine, project: Project) -> None:
        self._hosted = Hosted(project, engine)

    async def find(self, app_id: str) -> Hosted | None:
        return self._hosted if app_id == self._hosted.project.app_id else None

    async def find_by_key(self, key: str) -> Hosted | None:
        return self._hosted if self._hosted.project.has_key(key) else None
