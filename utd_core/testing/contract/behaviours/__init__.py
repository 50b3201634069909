"""Every behaviour of the contract, by number: `BEHAVIOURS["C12"]`."""

from __future__ import annotations

from . import connection, control, sessions
from .registry import Behaviour, Missing, Part, Registry

BEHAVIOURS = Registry()
control.declare(BEHAVIOURS)
connection.declare(BEHAVIOURS)
sessions.declare(BEHAVIOURS)

__all__ = ["BEHAVIOURS", "Behaviour", "Missing", "Part", "Registry"]
