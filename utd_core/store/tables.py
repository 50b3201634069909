"""The tables. `base.py` says what the columns mean; `migrations/` bring an older database to this shape."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

SCHEMA = "0002"
"""The newest revision in `migrations/versions`."""

metadata = MetaData()

state = Table(
    "utd_state",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("deadline", Double),
    Column("ended_at", Double),
)
_GOES_ON = state.c.ended_at.is_(None)
Index("utd_state_listing", state.c.kind, state.c.key, sqlite_where=_GOES_ON, postgresql_where=_GOES_ON)
_HAS_ENDED = state.c.ended_at.is_not(None)
Index("utd_state_ended", state.c.ended_at, sqlite_where=_HAS_ENDED, postgresql_where=_HAS_ENDED)
# Most states have no deadline at all; only those that do are in the index.
_HAS_DEADLINE = state.c.deadline.is_not(None)
Index("utd_state_due", state.c.deadline, sqlite_where=_HAS_DEADLINE, postgresql_where=_HAS_DEADLINE)

# One row, made with the tables: the epoch of channels that nobody has published on.
epoch = Table("utd_epoch", metadata, Column("epoch", Text, primary_key=True))

channel = Table(
    "utd_channel",
    metadata,
    Column("name", Text, primary_key=True),
    # The offsets of a channel mean something in this epoch only.
    Column("epoch", Text, nullable=False),
    Column("offset", BigInteger, nullable=False),
    # Events up to this offset were deleted; all later ones are held.
    Column("pruned", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# A channel's events lie together on disk, in the order of their offsets.
event = Table(
    "utd_event",
    metadata,
    Column("channel", Text, ForeignKey(channel.c.name), primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("type", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

answer = Table(
    "utd_answer",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
)
Index("utd_answer_at", answer.c.at)

# Alembic's own table, under our name, so that a database can be shared with an application that uses Alembic too.
version = Table(
    "utd_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="utd_version_pkc"),
)
