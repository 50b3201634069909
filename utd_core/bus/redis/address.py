"""Where a Redis is, from its URL, and what it is called where others read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ...errors import InvalidInput
from ...media.extras import needs_extra

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

DEFAULT = "redis://127.0.0.1:6379"
SUPPORTED = "redis://USER:PASSWORD@HOST:PORT/DB, rediss:// for TLS, or unix:///PATH"


class Address:
    """A URL that redis-py understands; whatever it says about it, no password is repeated.

    `name`: the URL without user, password and options. Raises `InvalidInput`, and `UTDStreamException` (missing_extra).
    """

    def __init__(self, url: str) -> None:
        self.name = name_of(url)
        with needs_extra("a message bus over Redis", "redis"):
            from redis.asyncio import ConnectionPool
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
            from redis.exceptions import RedisError
        try:
            self._pool: Any = ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), **_OURS)
            # Over what the URL may say of it.
            self._pool.connection_kwargs |= _OURS
            self.connect()
        except (TypeError, ValueError, RedisError):
            # What was raised may hold a piece of the password.
            raise InvalidInput(f"{self.name} is no address of a Redis with options that it has") from None

    def connect(self) -> AbstractConnection:
        """A connection, not made yet."""
        connection: AbstractConnection = self._pool.make_connection()
        return connection


_OURS: dict[str, Any] = {
    # What is said by pub/sub comes as plain lists.
    "protocol": 2,
    # A link watches over its connection by itself; and every answer is bytes.
    "socket_timeout": None,
    "socket_connect_timeout": None,
    "health_check_interval": 0,
    "decode_responses": False,
}


def name_of(url: str) -> str:
    """What a Redis is called in errors and logs: its address without user, password and options.

    Raises `InvalidInput`, which repeats nothing but the scheme.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidInput(
            f"the bus's URL cannot be read (encode what is special in its password); give {SUPPORTED}"
        ) from None
    if parts.scheme == "unix":
        if not parts.path:
            raise InvalidInput(f"unix:// needs the path of a socket; give {SUPPORTED}")
        return f"unix://{unquote(parts.path)}"
    if parts.scheme not in ("redis", "rediss"):
        raise InvalidInput(f"{parts.scheme or 'no scheme'}:// is no address of a Redis; give {SUPPORTED}")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown or 'localhost'}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
