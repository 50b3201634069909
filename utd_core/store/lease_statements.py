"""The statements of leases; see `statements.py`.

They tell the time by the database's own clock. SQLite has none that is not the machine's: it takes the parameter `now`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Double,
    Integer,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .tables import lease, wish


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

# A claimer who is courteous takes it for somebody else's for a while longer.
_COURTESY: BindParameter[float] = bindparam("courtesy", type_=Double())
_IS_RUNNING = lease.c.until + _COURTESY > _NOW

LOAD_LEASE = select(lease.c.term, lease.c.holder, _IS_RUNNING).where(_OF_PROJECT)
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
    .where(*_OF_TERM, or_(not_(_IS_RUNNING), _OF_HOLDER, and_(lease.c.holder.is_(None), _COURTESY <= _ZERO)))
    .values(term=lease.c.term + _ONE, holder=bindparam("holder"), until=_UNTIL)
)
RENEW = lease.update().where(_OF_HOLDER).values(until=_UNTIL)
RELEASE = lease.update().where(*_OF_TERM).values(holder=null(), until=_NOW)

_WISH = insert(wish).values(project=bindparam("project"), term=bindparam("term"), until=_UNTIL)
WISH = _WISH.on_conflict_do_update(
    index_elements=[wish.c.project], set_={wish.c.term: _WISH.excluded.term, wish.c.until: _WISH.excluded.until}
)
WANTED_OF = (
    select(lease.c.project, lease.c.holder, lease.c.term)
    .join(wish, and_(wish.c.project == lease.c.project, wish.c.term == lease.c.term))
    .where(_OF_HOLDER, wish.c.until > _NOW)
    .order_by(lease.c.project)
)

OTHERS = select(_ONE).where(lease.c.holder != bindparam("of_holder"), lease.c.until > _NOW).limit(_ONE)

# Whoever claims the lease changes its term, and waits until this transaction has ended; and the other way round.
HOLD = select(_ONE).where(*_OF_TERM).with_for_update(read=True, key_share=True)
