"""What the server says to a client beyond the neutral events."""

from __future__ import annotations

from dataclasses import dataclass

from utd_core.media.events import MediaEvent
from utd_core.model.permission import Grant

from .tracks import Subscription


@dataclass(frozen=True, slots=True)
class Subscribed:
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class GrantOf:
    """The grant of another participant; no event of its own, but `participants` shows it."""

    identity: str
    grant: Grant


Message = MediaEvent | Subscribed | Unsubscribed | GrantOf
