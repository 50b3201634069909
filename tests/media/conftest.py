"""Every media test that runs on a loop leaves nothing behind and never blocks it."""

from __future__ import annotations

import inspect

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = __name__.rpartition(".")[0]
    for item in items:
        module = getattr(item, "module", None)
        is_ours = module is not None and module.__name__.startswith(here)
        if is_ours and inspect.iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.no_blocking_calls)
            item.add_marker(pytest.mark.no_leaks)
            names: list[str] = getattr(item, "fixturenames", [])
            names[:0] = [name for name in ("no_blocking_calls", "no_leaks") if name not in names]
