from __future__ import annotations

from tests.redis import _private_redis, redis, redis_server

__all__ = ["_private_redis", "redis", "redis_server"]
