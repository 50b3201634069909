"""What holds for every test of this repository. Fixtures come from utd-core's own pytest plugin."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

from utd_core.concurrency import scope

# How long an example takes is a matter of the machine and of what else it does; benchmarks measure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)  # before utd-core's plugin turns the marker into its fixture
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No asynchronous test leaves a task, a thread or a descriptor behind."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.no_leaks)


@pytest.fixture(autouse=True)
def no_background_task_fails(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whose background task dies goes on without it, so only the log tells; here it fails the test.

    A test that means one to die has it unlogged: `caplog.set_level("CRITICAL")`.
    """
    yield
    records = [record for phase in ("setup", "call") for record in caplog.get_records(phase)]
    failed = [record for record in records if record.levelno >= logging.ERROR and record.pathname == scope.__file__]
    assert not failed, "; ".join(record.getMessage() for record in failed)
