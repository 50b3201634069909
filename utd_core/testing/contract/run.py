"""Runs the suite from Python: what `utd contract` does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from .report import REPORTER, Conformance, ConformanceReporter
from .target import find_target

SUITE = Path(__file__).parent


def run_contract(
    backend: str, *, filters: str = "", scale: float = 1.0, pytest_arguments: Sequence[str] = ()
) -> Conformance:
    """Run the contract suite on `backend` in this process and return the outcome; the table is printed.

    The run knows nothing of the folder it is started in: no configuration file, no other pytest plugin.
    `filters`, `scale`: as in `find_target`. Raises `BackendNotFound` before anything runs.
    """
    find_target(backend)
    catcher = _Catcher()
    arguments = [
        str(SUITE),
        *("-c", os.devnull, "--rootdir", str(SUITE), "-p", "no:cacheprovider"),
        *("-p", "pytest_asyncio.plugin", "-p", "utd_core.testing.plugin"),
        *("-q", "--asyncio-mode=strict", "-o", "asyncio_default_fixture_loop_scope=function"),
        *("--utd-backend", backend, "--utd-filter", filters, "--utd-time-scale", str(scale)),
        *pytest_arguments,
    ]
    with _without_other_plugins():
        pytest.main(arguments, plugins=[catcher])
    return catcher.outcome(backend)


@contextmanager
def _without_other_plugins() -> Iterator[None]:
    with mock.patch.dict(os.environ, {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}):
        os.environ.pop("PYTEST_ADDOPTS", None)
        yield


class _Catcher:
    def __init__(self) -> None:
        self._conformance: Conformance | None = None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        reporter = session.config.pluginmanager.get_plugin(REPORTER)
        if isinstance(reporter, ConformanceReporter):
            self._conformance = reporter.conformance

    def outcome(self, backend: str) -> Conformance:
        return self._conformance or Conformance(backend)
