"""What the engine itself tells the model: time has passed, somebody came or went.

- None of it is ever on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Internal:
    """Base of the engine's own commands."""


@dataclass(frozen=True, slots=True)
class Tick(Internal):
    """Do everything that is due at `now`."""


@dataclass(frozen=True, slots=True)
class Departed(Internal):
    """The identity is in the room on no device any more. `reason`: disconnected, replaced, ..."""

    identity: str
    reason: str = "disconnected"


@dataclass(frozen=True, slots=True)
class Returned(Internal):
    """The identity's media connection is (again) in the room."""

    identity: str


@dataclass(frozen=True, slots=True)
class PartyConnected(Internal):
    """A party's media connection is in the call's room."""

    identity: str


@dataclass(frozen=True, slots=True)
class PartyDisconnected(Internal):
    """A party's media connection is gone."""

    identity: str


@dataclass(frozen=True, slots=True)
class PartyBanned(Internal):
    """A party of a call was banned from the project."""

    identity: str


@dataclass(frozen=True, slots=True)
class ParticipantBanned(Internal):
    """Somebody in a room was banned from the project."""

    identity: str
