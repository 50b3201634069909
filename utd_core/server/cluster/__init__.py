"""Several nodes on one database: who works for which project."""

from __future__ import annotations

from .tenure import Tenure

__all__ = ["Tenure"]
