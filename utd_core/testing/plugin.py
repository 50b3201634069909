"""The pytest plugin of utd-core (entry point group `pytest11`): fixtures for applications, options of the suite.

It is imported by every pytest run of an environment in which utd-core is installed, so it imports next to
nothing: the engine, the client, the suite and the extra `testing` come with the fixture that needs them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import pytest

if TYPE_CHECKING:
    from ..client import UTDStreamClient
    from ..client.options import ClientOptions
    from ..engine import Engine
    from ..media.faults import Fault
    from .blocking import Watch
    from .clock import VirtualClock
    from .fixtures import Eventually, InjectFault, MakeClient

F = TypeVar("F", bound=Callable[..., Any])

_EXTRA = 'the fixture {name!r} of utd-core needs pytest-asyncio; pip install "utd-core[testing]"'


def _async_fixture(function: F) -> F:
    """A fixture on the loop of the test, in strict mode too; without pytest-asyncio it fails in words."""
    try:
        import pytest_asyncio
    except ImportError:
        name = function.__name__

        def missing() -> None:
            from ..errors import ErrorCode, UTDStreamException

            raise UTDStreamException(_EXTRA.format(name=name), code=ErrorCode.MISSING_EXTRA)

        missing.__doc__ = function.__doc__
        return pytest.fixture(name=name)(missing)  # type: ignore[return-value]  # a fixture in the place of one
    return pytest_asyncio.fixture(loop_scope="function")(function)  # type: ignore[return-value]  # same


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the contract suite."""
    group = parser.getgroup("utd", "utd-core: the media contract")
    group.addoption("--utd-backend", metavar="NAME", help="backend under test: a plugin's, or module:SPEC")
    group.addoption(
        "--utd-filter", metavar="LIST", default="", help="only these behaviours: numbers (C12, M2?), a part, words"
    )
    group.addoption(
        "--utd-time-scale", metavar="N", type=float, default=1.0, help="give a slow backend N times as long (default 1)"
    )
    group.addoption("--utd-json", action="store_true", help="print the outcome as JSON in the last line")


def pytest_configure(config: pytest.Config) -> None:
    """Register the suite's marker, and its reporter when a backend is under test."""
    config.addinivalue_line("markers", "utd_proves(*numbers): the behaviours of the media contract that a test proves")
    config.addinivalue_line("markers", "no_blocking_calls: the test fails when it blocks the event loop")
    config.addinivalue_line("markers", "no_leaks: the test fails when it leaves a task, thread or descriptor behind")
    if config.getoption("utd_backend"):
        from .contract.report import REPORTER, ConformanceReporter

        config.pluginmanager.register(ConformanceReporter(config), REPORTER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A marker asks for the fixture of the same name; the outermost check is set up first."""
    for item in items:
        names: list[str] = getattr(item, "fixturenames", [])
        for marker in ("no_blocking_calls", "no_leaks"):
            if item.get_closest_marker(marker) is not None and marker not in names:
                names.insert(0, marker)


@pytest.fixture
def utd_clock() -> VirtualClock:
    """A clock that the test moves by hand: `await utd_clock.advance(30)`."""
    from .clock import VirtualClock

    return VirtualClock()


@_async_fixture
async def utd_engine(utd_clock: VirtualClock) -> AsyncIterator[Engine]:
    """An engine on the mock backend and on `utd_clock`, with its store in memory; closed after the test."""
    from ..engine import Engine

    async with Engine("mock", clock=utd_clock) as engine:
        yield engine


@_async_fixture
async def utd_client(utd_engine: Engine) -> AsyncIterator[MakeClient]:
    """`utd_client("ann")`: a client of `utd_engine` signed in as that identity; all are closed after the test."""
    clients: list[UTDStreamClient] = []

    def make(
        identity: str, *, name: str = "", device_id: str | None = None, **options: Unpack[ClientOptions]
    ) -> UTDStreamClient:
        clients.append(utd_engine.client(identity, name=name, device_id=device_id, **options))
        return clients[-1]

    yield make
    for client in reversed(clients):
        await client.aclose()


@pytest.fixture
def utd_faults(utd_engine: Engine) -> InjectFault:
    """`await utd_faults("signal_drop", room, "ann", seconds=10)`: produce a named fault on the engine's backend."""
    from ..media.checks import check_choice
    from ..media.faults import Fault

    async def inject(fault: Fault | str, room: str, identity: str | None = None, **parameters: float) -> None:
        await utd_engine.backend.inject(check_choice(Fault, fault), room, identity, **parameters)

    return inject


@pytest.fixture
def eventually(request: pytest.FixtureRequest) -> Eventually:
    """`await eventually(lambda: condition, timeout=5)`: wait for something to happen, with a deadline.

    In a test that uses `utd_clock` the seconds are those of that clock, which is moved forward.
    """
    from .wait import eventually

    clock = request.getfixturevalue("utd_clock") if "utd_clock" in request.fixturenames else None

    async def wait(condition: Callable[[], Any], timeout: float = 5.0, *, what: str = "") -> Any:
        return await eventually(condition, timeout, clock=clock, what=what)

    return wait


@pytest.fixture
def no_blocking_calls() -> Iterator[Watch]:
    """The test fails when something blocks the event loop (needs the extra `testing`)."""
    from .blocking import no_blocking_calls

    with no_blocking_calls() as watch:
        yield watch


@_async_fixture
async def no_leaks() -> AsyncIterator[None]:
    """The test fails when it, or a fixture set up after this one, leaves a task, thread or descriptor behind."""
    from .leaks import Snapshot, assert_no_leaks

    before = Snapshot.take()
    yield
    await assert_no_leaks(before)
