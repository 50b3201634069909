"""Operations that are under way, and may be given up all at once."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

import anyio


class Pending:
    """Those that one owner may give up."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._scopes)

    def under_way(self) -> AbstractContextManager[anyio.CancelScope, bool]:
        """For the length of an operation, in the task that does it. If it is given up, the block ends where it waits,
        without an error, and `cancelled_caught` of the scope is true."""
        return _Operation(self._scopes)

    def give_up(self) -> None:
        """End all that are under way now."""
        for scope in list(self._scopes):
            scope.cancel()


class _Operation(AbstractContextManager[anyio.CancelScope, bool]):
    def __init__(self, scopes: set[anyio.CancelScope]) -> None:
        self._scopes = scopes
        self._scope = anyio.CancelScope()

    def __enter__(self) -> anyio.CancelScope:
        self._scopes.add(self._scope)
        return self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._scopes.discard(self._scope)
        return self._scope.__exit__(kind, error, trace)
