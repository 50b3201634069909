"""Who is in a call: one line per person, engaged by at most one call.

A line is a row of its own, committed together with the call that takes or frees it, so that not even two engines on
one file can connect one callee to two callers. It also remembers the person's latest calls, for their list.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from ...concurrency import Clock
from ...model.codec import dump, load
from ...store.base import Store, StoredState

KIND = "line"
KEPT_CALLS = 100
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Line:
    """`call`: the one that engages it now; `recent`: ids of the latest calls, newest first."""

    call: str | None = None
    recent: tuple[str, ...] = ()


class Lines:
    """Lines in memory: those that this engine's calls engage, and others only while somebody is being called.

    The changes of one transaction stay marked until `keep` or `roll_back`.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lines: dict[str, tuple[Line, int]] = {}
        self._before: dict[str, tuple[Line, int]] = {}
        self._wanted: Counter[str] = Counter()
        self.engaged: dict[str, str] = {}
        """The call that each engaged person is in."""

    async def open(self) -> None:
        """Read every engaged line. Raises `StoreFailed`."""
        after = ""
        while rows := await self._store.states(KIND, after=after, limit=_PAGE, ended=False):
            for row in rows:
                self._remember(row.key, load(Line, row.payload), row.version)
                self._wanted[row.key] += 1
            after = rows[-1].key

    async def fetch(self, identities: Collection[str]) -> None:
        """Have these lines in memory until `let_go`. Raises `StoreFailed`, and then none is held."""
        found = {}
        for identity in identities:
            if identity not in self._lines:
                row = await self._store.load(KIND, identity)
                found[identity] = _new_line() if row is None else (load(Line, row.payload), row.version)
        for identity in identities:
            self._wanted[identity] += 1
            if identity not in self._lines:
                self._remember(identity, *found[identity])

    async def find(self, call: str, identities: Collection[str]) -> None:
        """Have the lines that `call` engages in memory, as they are from the start to the end of a call."""
        for identity in identities:
            if identity in self._lines:
                continue
            row = await self._store.load(KIND, identity)
            line = Line() if row is None else load(Line, row.payload)
            if row is not None and line.call == call and identity not in self._lines:
                self._remember(identity, line, row.version)
                self._wanted[identity] = max(1, self._wanted[identity])

    def holds(self, identities: Collection[str]) -> bool:
        """Whether these lines are in memory."""
        return all(identity in self._lines for identity in identities)

    def let_go(self, identities: Collection[str]) -> None:
        """The opposite of `fetch`, or of an engagement that has ended."""
        for identity in identities:
            self._wanted[identity] -= 1
            if self._wanted[identity] <= 0:
                del self._wanted[identity]
                if identity not in self._before:
                    self._forget(identity)

    async def recent(self, identity: str) -> tuple[str, ...]:
        """Ids of somebody's latest calls, newest first. Raises `StoreFailed`."""
        row = await self._store.load(KIND, identity)
        return () if row is None else load(Line, row.payload).recent

    def engage(self, identity: str, call: str) -> None:
        """`identity`, whose line is in memory, is in `call` from now on."""
        line, _ = self._lines[identity]
        self._change(identity, Line(call, (call, *line.recent)[:KEPT_CALLS]))

    def release(self, identity: str, call: str) -> None:
        """`call` is over for `identity`; fine if it does not engage the line."""
        if self.engaged.get(identity) == call:
            self._change(identity, Line(None, self._lines[identity][0].recent))

    def rows(self) -> list[tuple[StoredState, int]]:
        """What the transaction must write."""
        rows = []
        for identity, (_, version) in self._before.items():
            line, _ = self._lines[identity]
            # A line that was free for long enough may be discarded, and all the calls that it remembers with it.
            free_since = self._clock.now() if line.call is None else None
            row = StoredState(KIND, identity, _next(version), dump(line), None, free_since)
            rows.append((row, max(0, version)))
        return rows

    def keep(self) -> None:
        """The transaction holds."""
        before, self._before = self._before, {}
        for identity, (old, version) in before.items():
            line, _ = self._lines[identity]
            self._remember(identity, line, _next(version))
            # An engaged line stays in memory; one that became free goes, unless it is wanted.
            if line.call is not None and old.call is None:
                self._wanted[identity] += 1
            elif line.call is None and old.call is not None:
                self.let_go([identity])
            elif not self._wanted[identity]:
                self._forget(identity)

    def roll_back(self, *, reload: bool = False) -> None:
        """The transaction failed. `reload`: somebody else wrote these lines; forget what is known of them."""
        before, self._before = self._before, {}
        for identity, (line, version) in before.items():
            self._forget(identity)
            if not reload and self._wanted[identity]:
                self._remember(identity, line, version)

    def _change(self, identity: str, line: Line) -> None:
        before = self._lines[identity]
        self._before.setdefault(identity, before)
        self._remember(identity, line, before[1])

    def _remember(self, identity: str, line: Line, version: int) -> None:
        self._lines[identity] = (line, version)
        if line.call is None:
            self.engaged.pop(identity, None)
        else:
            self.engaged[identity] = line.call

    def _forget(self, identity: str) -> None:
        self._lines.pop(identity, None)
        self.engaged.pop(identity, None)


def _new_line() -> tuple[Line, int]:
    """A line that is not stored. The negative of the version to begin behind: by chance, so that one that was discarded
    and is made anew is not taken for the old one by an engine that still remembers that."""
    return Line(), -secrets.randbits(40)


def _next(version: int) -> int:
    return abs(version) + 1
