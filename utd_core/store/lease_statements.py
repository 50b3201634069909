"""The statements of leases; see `statements.py`.

They tell the time by the database's own clock. SQLite has none that is not the machine's: it takes the parameter `now`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Double, Integer, bindparam, cast, func, literal_column, null, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .tables import lease


class _Now(FunctionElement[float]):
    """Seconds since the Unix epoch, at this moment."""

    type = Double()
    inherit_cache = True


@compiles(_Now)
def _as_parameter(now: _Now, compiler: SQLCompiler, **how: Any) -> str:
    return compiler.process(bindparam("now", type_=Double()), **how)


@compiles(_Now, "postgresql")
def _as_clock(now: _Now, compiler: SQLCompiler, **how: Any) -> str:
    # Not that of the transaction: a claim may have waited in it.
    return compiler.process(cast(func.extract("epoch", func.clock_timestamp()), Double), **how)


_NOW = _Now()
_ZERO, _ONE = literal_column("0", Integer), literal_column("1", Integer)
_UNTIL = _NOW + bindparam("ttl", type_=Double())

_OF_PROJECT = lease.c.project == bindparam("of_project")
_OF_HOLDER = lease.c.holder == bindparam("of_holder")
_OF_TERM = (_OF_PROJECT, lease.c.term == bindparam("of_term"))

LOAD_LEASE = select(lease.c.term, lease.c.holder, lease.c.until > _NOW).where(_OF_PROJECT)
LEASES_OF = select(lease.c.project, lease.c.holder, lease.c.term).where(_OF_HOLDER).order_by(lease.c.project)

# A project that was deleted and made anew must not have the same terms again: they go on from the time.
_FIRST_TERM = cast(_NOW * literal_column("1000", Integer), BigInteger)
INSERT_LEASE = (
    insert(lease)
    .values(project=bindparam("project"), term=_FIRST_TERM, holder=null(), until=_ZERO)
    .on_conflict_do_nothing()
)
CLAIM = (
    lease.update()
    .where(*_OF_TERM, or_(lease.c.holder.is_(None), lease.c.until <= _NOW, _OF_HOLDER))
    .values(term=lease.c.term + _ONE, holder=bindparam("holder"), until=_UNTIL)
)
RENEW = lease.update().where(_OF_HOLDER).values(until=_UNTIL)
RELEASE = lease.update().where(*_OF_TERM).values(holder=null(), until=_ZERO)

# Whoever claims the lease changes its term, and waits until this transaction has ended; and the other way round.
HOLD = select(_ONE).where(*_OF_TERM).with_for_update(read=True, key_share=True)
