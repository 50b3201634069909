"""Where rooms, calls and their events survive: SQLite in memory or in a file.

    async with open_store("rooms.db") as store:
        ...

SQLAlchemy is loaded when a store is opened, not by importing this package.
"""

from __future__ import annotations

from .base import Answer, Commit, Envelope, Head, Remains, Store, StoredState
from .factory import open_store

__all__ = ["Answer", "Commit", "Envelope", "Head", "Remains", "Store", "StoredState", "open_store"]
