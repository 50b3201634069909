"""What holds for every test of this repository. Fixtures come from utd-core's own pytest plugin."""

from __future__ import annotations

import inspect

import pytest


@pytest.hookimpl(tryfirst=True)  # before utd-core's plugin turns the marker into its fixture
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No asynchronous test leaves a task, a thread or a descriptor behind."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.no_leaks)
