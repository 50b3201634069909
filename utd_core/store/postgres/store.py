"""A `Store` on PostgreSQL."""

from __future__ import annotations

from ...model.identifiers import DEFAULT_PROJECT
from ..sql_store import SqlStore
from .driver import Postgres

CONNECTIONS = 8
"""To the database, at most: one for commits, the others for everything else."""


class PostgresStore(SqlStore):
    """The database at `url` ("postgresql://user:password@host/name", as PostgreSQL's own tools take it).

    Any number of engines, in any number of processes, may use one database at once: versions guard every commit.
    Commits that wait at the same time share a transaction. At most `connections` (2 or more) are opened, when they are
    needed. While the database is away, operations wait for it for up to `patience.RECONNECT` seconds; a commit whose
    answer was lost with its connection is looked up afterwards.
    """

    def __init__(self, url: str, project: str = DEFAULT_PROJECT, *, connections: int = CONNECTIONS) -> None:
        super().__init__(Postgres(url, connections), project)
