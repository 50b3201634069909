"""The store that several engine nodes share: PostgreSQL, through asyncpg (extra `postgres`)."""

from __future__ import annotations

from .store import PostgresStore

__all__ = ["PostgresStore"]
