"""Bans: who may not come in, where, why, and until when.

- Scope *room* keeps somebody out of one room, scope *project* out of every room and every call.
- One ban per identity and scope: a second one replaces the first (a longer ban is not an error).
- `expires_at` None never ends. An expired ban is no ban, whether or not it was swept away.
- A ban is lifted by whoever may ban, also one that somebody else made.
- A ban keeps out; what a room, its seats and its stage show to everybody who is signed in, it does not hide.
- A room holds at most 1,000 bans, a project 10,000; beyond that a ban must be lifted first.
- Who is banned, why, by whom and until when is for the banned one and for those who may ban; on the room's channel
  `BansChanged` stands in for it, and a removal that comes with a ban is without its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..errors import Banned
from .event import Event


class BanScope(StrEnum):
    ROOM = "room"
    PROJECT = "project"


MOST_BANS: Mapping[BanScope, int] = {BanScope.ROOM: 1_000, BanScope.PROJECT: 10_000}


@dataclass(frozen=True, slots=True)
class Ban:
    """`id` is given by the engine. Times are seconds since the Unix epoch."""

    id: str
    identity: str
    scope: BanScope
    reason: str
    by: str
    created_at: float
    expires_at: float | None = None

    def holds(self, now: float) -> bool:
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True)
class BanMade(Event):
    ban: Ban


@dataclass(frozen=True, slots=True)
class BanLifted(Event):
    id: str
    identity: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class BansChanged(Event):
    """What a room's channel carries of a ban that was made or lifted: whoever may ban lists them again."""


def check_not_banned(bans: Mapping[str, Ban], identity: str, now: float) -> None:
    """Raise `Banned` when one of these bans (by identity) holds for `identity` at `now`."""
    ban = bans.get(identity)
    if ban is not None and ban.holds(now):
        raise refusal(ban)


def refusal(ban: Ban) -> Banned:
    """What the one who is banned is told, in words and in `details`."""
    until = "for good" if ban.expires_at is None else f"until {ban.expires_at:.0f}"
    where = "this room" if ban.scope is BanScope.ROOM else "this project"
    why = ban.reason or "no reason given"
    return Banned(
        f"{ban.identity!r} is banned from {where} {until}: {why}; ask a moderator to lift it",
        details={"ban_id": ban.id, "scope": ban.scope.value, "reason": ban.reason, "expires_at": ban.expires_at},
    )


def expired(bans: Mapping[str, Ban], now: float) -> list[Ban]:
    return [ban for ban in bans.values() if not ban.holds(now)]
