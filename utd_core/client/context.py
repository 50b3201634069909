"""What a client hands to each of its sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..concurrency import Clock
from ..media.encryption import EncryptionKey
from .link import EngineLink
from .media.devices import Devices
from .policy import RetryPolicy


async def _nobody_waits(session: object) -> None:
    """Nobody wants to know that a session was closed."""


@dataclass(frozen=True, slots=True)
class ClientContext:
    """`grant_timeout`: seconds from a seat or a stage place to the permission on the media connection.
    `connect_deadline`: seconds for one media connect. `goodbye_deadline`: seconds that leaving may wait for the engine,
    which finds out by itself when it is not told. `released(session)` is called when a session was closed."""

    link: EngineLink
    identity: str
    name: str = ""
    device_id: str = "default"
    devices: Devices = field(default_factory=Devices)
    adaptive_stream: bool = True
    simulcast: bool = False
    dynacast: bool = True
    e2ee: EncryptionKey | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    grant_timeout: float = 10.0
    connect_deadline: float = 10.0
    goodbye_deadline: float = 5.0
    released: Callable[[object], Awaitable[None]] = _nobody_waits

    @property
    def clock(self) -> Clock:
        return self.link.clock
