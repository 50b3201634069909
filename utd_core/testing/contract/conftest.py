"""The fixtures and skips of the contract suite.

Every test gets a fresh backend, on a loop where nothing may block, and leaves no task, thread or descriptor.
A test is skipped only for what the backend itself declares; any other skip is reported as a failure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from ..blocking import no_blocking_calls
from ..leaks import Snapshot, assert_no_leaks
from .behaviours import BEHAVIOURS
from .harness import Harness
from .proof import MARKER
from .report import MISSING, NUMBERS
from .target import Target, target_of

__all__ = ["harness", "loop_without_blocking_calls"]


@pytest.fixture(autouse=True)
def loop_without_blocking_calls() -> Iterator[None]:
    """Nothing that a backend does may block the event loop."""
    with no_blocking_calls():
        yield


@pytest_asyncio.fixture(loop_scope="function")
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    """The backend under test, fresh; it must leave nothing behind."""
    target: Target = target_of(request.config)
    before = Snapshot.take()
    async with Harness(target.spec, target.open_backend, scale=target.scale) as harness:
        yield harness
    await assert_no_leaks(before, grace=2.0 * target.scale)


def pytest_configure(config: pytest.Config) -> None:
    """The suite says of its tests, wherever it runs, which rows of utd-core's own parity table they prove."""
    config.addinivalue_line("markers", "parity(*rows): the rows of utd-core's parity table that a test proves")


def numbers_of(item: pytest.Item) -> tuple[str, ...]:
    """The numbers of the behaviours that a test proves."""
    marker = item.get_closest_marker(MARKER)
    return () if marker is None else marker.args


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that `--utd-filter` does not ask for, and write the numbers into the reports."""
    target = target_of(config)
    chosen: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        numbers = numbers_of(item)
        if not numbers:
            chosen.append(item)
            continue
        item.user_properties.append((NUMBERS, numbers))
        asked_for = any(target.wants(BEHAVIOURS[number], item.name) for number in numbers)
        (chosen if asked_for else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = chosen


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a behaviour that the backend declares it does not have, with the words of the declaration."""
    spec = target_of(item.config).spec
    for number in numbers_of(item):
        missing = BEHAVIOURS[number].missing(spec.capabilities, spec.faults)
        if missing is not None:
            item.user_properties.append((MISSING, missing.capability))
            pytest.skip(f"{missing.capability} is denied by {spec.name}: {missing.sentence}")
