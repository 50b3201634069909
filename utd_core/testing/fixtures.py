"""The types of the fixtures that are functions, for tests that are checked strictly.

    async def test_it(utd_client: MakeClient, utd_clock: VirtualClock, eventually: Eventually) -> None: ...

Of the other fixtures, `utd_engine` is a `utd_core.Engine` and `utd_clock` a `VirtualClock`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar, Unpack, overload

if TYPE_CHECKING:
    from ..client import UTDStreamClient
    from ..client.options import ClientOptions
    from ..media.faults import Fault

T = TypeVar("T")


class MakeClient(Protocol):
    """The type of `utd_client`."""

    def __call__(
        self, identity: str, *, name: str = "", device_id: str | None = None, **options: Unpack[ClientOptions]
    ) -> UTDStreamClient:
        """A client of the test's engine, closed after the test. `options`: those of `UTDStreamClient`."""
        ...


class InjectFault(Protocol):
    """The type of `utd_faults`."""

    async def __call__(self, fault: Fault | str, room: str, identity: str | None = None, **parameters: float) -> None:
        """Produce a fault in a room; see `Fault` for each and its parameters. Raises `NotFound`, `InvalidInput`."""


class Eventually(Protocol):
    """The type of `eventually`: called with a function (or a coroutine function), it waits for that to give something
    true, and gives it. Raises `AssertionError` that says `what` did not happen within `timeout` seconds."""

    @overload
    async def __call__(self, condition: Callable[[], Awaitable[T]], timeout: float = 5.0, *, what: str = "") -> T: ...

    @overload
    async def __call__(self, condition: Callable[[], T], timeout: float = 5.0, *, what: str = "") -> T: ...
