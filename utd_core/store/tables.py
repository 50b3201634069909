"""The tables. `base.py` says what the columns mean; `migrations/` bring an older database to this shape.

- Every row belongs to a project, which is the first column of every key: what one engine sees lies together.
- Names are compared byte by byte on every database, so that a list has one order and needs no second index for it.
- No foreign key guards the events: they are only written in the transaction that moves their channel's head, and
  looking for the channel again would cost more than writing the event.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA = "0007"
"""The newest revision in `migrations/versions`."""

metadata = MetaData()

Name = Text().with_variant(Text(collation="C"), "postgresql")

state = Table(
    "utd_state",
    metadata,
    Column("project", Name, primary_key=True),
    Column("kind", Name, primary_key=True),
    Column("key", Name, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("deadline", Double),
    Column("ended_at", Double),
)
_GOES_ON = state.c.ended_at.is_(None)
Index(
    "utd_state_listing",
    state.c.project,
    state.c.kind,
    state.c.key,
    sqlite_where=_GOES_ON,
    postgresql_where=_GOES_ON,
)
_HAS_ENDED = state.c.ended_at.is_not(None)
Index("utd_state_ended", state.c.project, state.c.ended_at, sqlite_where=_HAS_ENDED, postgresql_where=_HAS_ENDED)
# Most states have no deadline at all; only those that do are in the index.
_HAS_DEADLINE = state.c.deadline.is_not(None)
Index("utd_state_due", state.c.project, state.c.deadline, sqlite_where=_HAS_DEADLINE, postgresql_where=_HAS_DEADLINE)

# One row for each project that was ever opened: the epoch of its channels that nobody has published on.
epoch = Table(
    "utd_epoch",
    metadata,
    Column("project", Name, primary_key=True),
    Column("epoch", Text, nullable=False),
)

channel = Table(
    "utd_channel",
    metadata,
    Column("project", Name, primary_key=True),
    Column("name", Name, primary_key=True),
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
    Column("project", Name, primary_key=True),
    Column("channel", Name, primary_key=True),
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
    Column("project", Name, primary_key=True),
    Column("actor", Name, primary_key=True),
    Column("key", Name, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
)
Index("utd_answer_at", answer.c.project, answer.c.at)

# What was committed for endpoints of the application and is on its way: parcels, in lanes of which only the first one
# is worked on, and those that were given up. A number never comes again, so the dead ones keep theirs.
Number = BigInteger().with_variant(Integer(), "sqlite")
outbox = Table(
    "utd_outbox",
    metadata,
    Column("number", Number, primary_key=True),
    Column("project", Name, nullable=False),
    Column("endpoint", Name, nullable=False),
    Column("kind", Name, nullable=False),
    Column("key", Name, nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
Index("utd_outbox_lane", outbox.c.project, outbox.c.endpoint, outbox.c.kind, outbox.c.key, outbox.c.number)

lane = Table(
    "utd_lane",
    metadata,
    Column("project", Name, primary_key=True),
    Column("endpoint", Name, primary_key=True),
    Column("kind", Name, primary_key=True),
    Column("key", Name, primary_key=True),
    # When its first parcel is to be tried; in the future, too, while somebody has it.
    Column("due", Double, nullable=False),
    # Of its first parcel.
    Column("tries", BigInteger, nullable=False),
    Column("first_at", Double),
    Column("waiting", BigInteger, nullable=False),
)
Index("utd_lane_due", lane.c.project, lane.c.endpoint, lane.c.due)

dead_letter = Table(
    "utd_dead_letter",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("project", Name, nullable=False),
    Column("endpoint", Name, nullable=False),
    Column("kind", Name, nullable=False),
    Column("key", Name, nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("tries", BigInteger, nullable=False),
    Column("died_at", Double, nullable=False),
    Column("reason", Text, nullable=False),
)
Index("utd_dead_letter_listing", dead_letter.c.project, dead_letter.c.number)

# What a server knows of the projects it hosts. An embedded engine needs no row here.
project = Table(
    "utd_project",
    metadata,
    Column("app_id", Name, primary_key=True),
    Column("key", Name, nullable=False, unique=True),
    # Encrypted by whoever writes it; the store cannot read it.
    Column("secrets", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("flags", Text, nullable=False),
    Column("limits", Text, nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
)

# How often the projects of this database were changed: with each change of them, in the same transaction.
changes = Table(
    "utd_changes",
    metadata,
    Column("what", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

# Who works for a project, where several nodes share the database; see `leases.py`. A commit holds on to the row by its
# project and term, which makes them a key: on PostgreSQL only a change of a key waits for that, a renewal does not.
lease = Table(
    "utd_lease",
    metadata,
    Column("project", Name, primary_key=True),
    Column("term", BigInteger, nullable=False),
    # Null: nobody.
    Column("holder", Name),
    # In seconds since the Unix epoch, by the database's clock.
    Column("until", Double, nullable=False),
    UniqueConstraint("project", "term"),
)
Index("utd_lease_holder", lease.c.holder)

# A term that somebody wants to end, who cannot ask its holder; see `leases.py`. Not in the row of the lease, which many
# transactions hold.
wish = Table(
    "utd_wish",
    metadata,
    Column("project", Name, primary_key=True),
    Column("term", BigInteger, nullable=False),
    # As in the lease.
    Column("until", Double, nullable=False),
)

# Alembic's own table, under our name, so that a database can be shared with an application that uses Alembic too.
version = Table(
    "utd_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="utd_version_pkc"),
)
