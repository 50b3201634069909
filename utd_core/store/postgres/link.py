"""One connection to PostgreSQL that is made again when it is lost.

Nothing here waits on an engine's clock: a database answers in its own time, whatever time a test pretends.
"""

from __future__ import annotations

import asyncio
from time import monotonic

import asyncpg

from .faults import DRIVER_ERRORS, explain, is_lost
from .session import Connection

RECONNECT = 5.0
"""Seconds that operations wait for a database that is away; once it was away for so long, they try once and fail."""
CONNECT_TIMEOUT = 5.0
COMMAND_TIMEOUT = 30.0
"""Seconds that a statement may take before its connection counts as lost."""
URGENT_TIMEOUT = 2.0
"""The same, and for connecting too, where an answer that comes later is of no use."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5

_SETTINGS = {
    "application_name": "utd-core",
    # Versions guard every commit; a stricter level would only make PostgreSQL take transactions back.
    "default_transaction_isolation": "read committed",
    # Statements follow one another at once. A node that is cut off, or asleep, in the middle of a transaction must not
    # hold its rows until TCP gives up, nor its lease beyond the end of that: whoever takes over waits for the commits
    # before it.
    "idle_in_transaction_session_timeout": "3s",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}

# Whatever the server's default is, what was acknowledged survives its crash.
_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"


class Outage:
    """Since when the database is away, shared by all connections to it."""

    def __init__(self) -> None:
        self._since: float | None = None

    def begins(self) -> None:
        """A connection was lost, or could not be made. Idempotent."""
        if self._since is None:
            self._since = monotonic()

    def ends(self) -> None:
        """The database answered."""
        self._since = None

    @property
    def patience(self) -> float:
        """Seconds that are left to wait for it; none while it is there."""
        return 0.0 if self._since is None else max(0.0, self._since + RECONNECT - monotonic())

    @property
    def is_long(self) -> bool:
        """Whether it is away for longer than anybody waits."""
        return self._since is not None and self.patience <= 0


class Link:
    """A connection for one task at a time. `name` is what errors call the database."""

    def __init__(self, url: str, name: str, outage: Outage, *, timeout: float | None = None) -> None:
        self.name = name
        self._timeouts = (CONNECT_TIMEOUT, COMMAND_TIMEOUT) if timeout is None else (timeout, timeout)
        self._url = url
        self._outage = outage
        self._connection: Connection | None = None

    @property
    def is_away(self) -> bool:
        """Whether there is no use in trying again now."""
        return self._outage.is_long

    async def connection(self) -> Connection:
        """The connection, made (again) where there is none. Raises `StoreFailed` when that takes too long."""
        pause = _FIRST_PAUSE
        while self._connection is None or self._connection.is_closed():
            try:
                self._connection = await connect(self._url, *self._timeouts)
            except DRIVER_ERRORS as error:
                if not is_lost(error):
                    raise explain(error, self.name) from error
                self._outage.begins()
                if self._outage.is_long:
                    raise explain(error, self.name) from error
                await asyncio.sleep(min(pause, self._outage.patience))
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._outage.ends()
        return self._connection

    def lost(self) -> None:
        """The connection is of no more use."""
        self._outage.begins()
        self.drop()

    def drop(self) -> None:
        """Cut the connection off. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def aclose(self) -> None:
        """Say goodbye. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            try:
                await connection.close(timeout=CONNECT_TIMEOUT)
            except DRIVER_ERRORS:
                connection.terminate()


async def connect(url: str, timeout: float = CONNECT_TIMEOUT, command_timeout: float = COMMAND_TIMEOUT) -> Connection:
    """A new connection, set up. Raises what asyncpg raises."""
    connection: Connection = await asyncpg.connect(
        url,
        timeout=timeout,
        command_timeout=command_timeout,
        max_cached_statement_lifetime=0,
        server_settings=_SETTINGS,
    )
    try:
        await connection.execute(_DURABLE)
    except BaseException:
        connection.terminate()
        raise
    return connection
