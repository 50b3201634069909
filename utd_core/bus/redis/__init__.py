"""The bus of nodes that share a Redis: its pub/sub, through redis-py (extra `redis`)."""

from __future__ import annotations

from .messages import RedisMessages

__all__ = ["RedisMessages"]
