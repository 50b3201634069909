"""What every long-lived object has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closeable(ABC):
    """Has an end: `async with` closes it, and so does `aclose()`, from any task and as often as one likes."""

    __slots__ = ()

    @abstractmethod
    async def aclose(self) -> None:
        """End it, and everything that it holds. Idempotent."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
