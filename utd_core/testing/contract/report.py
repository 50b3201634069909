"""The conformance table: what a backend showed, by the number of the behaviour."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from .behaviours import BEHAVIOURS, Part
from .target import target_of

if TYPE_CHECKING:
    from rich.table import Table

NUMBERS = "utd_numbers"
"""Name of the report property with the numbers that a test proves."""
MISSING = "utd_missing"
"""Name of the report property with the capability for whose lack a test was skipped."""


REPORTER = "utd-conformance"
"""The name under which the pytest plugin registers the reporter."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed: which, for which behaviour, and the last line of why."""

    number: str
    test: str
    message: str


@dataclass
class Conformance:
    """The outcome of one run. A number has failed if one of its tests did, and passed if all of them did."""

    backend: str
    passed: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing failed, and something passed."""
        return bool(self.passed) and not self.failed

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "backend": self.backend,
            "passed": self.passed,
            "skipped": [{"number": number, "capability": why} for number, why in self.skipped.items()],
            "failed": [{"number": one.number, "test": one.test, "message": one.message} for one in self.failed],
        }

    def table(self) -> Table:
        """One line per part, then one per skipped capability, then one per failure."""
        from rich.table import Table

        bad = {failure.number for failure in self.failed}
        table = Table(title=f"Media contract: {self.backend}", title_justify="left")
        for heading in ("part", "passed", "skipped", "failed"):
            table.add_column(heading, justify="left" if heading == "part" else "right")
        for part in Part:
            counts = [
                sum(number.startswith(part) for number in numbers) for numbers in (self.passed, self.skipped, bad)
            ]
            if any(counts):
                table.add_row(part.heading, *map(str, counts))
        return table

    def lines(self) -> list[str]:
        """The skipped and the failed, in words."""
        by_capability: dict[str, list[str]] = {}
        for number, capability in self.skipped.items():
            by_capability.setdefault(capability, []).append(number)
        said = [f"skipped for {capability}: {' '.join(numbers)}" for capability, numbers in by_capability.items()]
        return said + [
            f"failed {one.number} {_sentence(one.number)}\n  {one.test}: {one.message}" for one in self.failed
        ]


def _sentence(number: str) -> str:
    return BEHAVIOURS[number].sentence if number in BEHAVIOURS else ""


class ConformanceReporter:
    """A pytest plugin that collects the outcomes of a contract run and prints the table at its end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._passed: set[str] = set()
        self._skipped: dict[str, str] = {}
        self._failed: list[Failure] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A skip that no declaration excuses is a failure."""
        report = yield
        properties = dict(item.user_properties)
        if report.skipped and NUMBERS in properties and MISSING not in properties:
            report.outcome = "failed"
            report.longrepr = f"{item.name} was skipped, but nothing that the backend declares excuses it"
        del call
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one phase of one test."""
        properties: dict[str, Any] = dict(report.user_properties)
        for number in properties.get(NUMBERS, ()):
            if report.failed:
                self._add_failure(Failure(number, report.nodeid.rpartition("::")[2], _why(report)))
            elif report.skipped:
                self._skipped[number] = str(properties[MISSING])
            elif report.when == "call":
                self._passed.add(number)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be collected proves nothing, and must not look like success."""
        if report.failed:
            self._failed.append(Failure("collection", report.nodeid, str(report.longrepr).strip().splitlines()[-1]))

    def _add_failure(self, failure: Failure) -> None:
        # A test that fails often leaves something behind as well; what it failed for comes first.
        if not any((known.number, known.test) == (failure.number, failure.test) for known in self._failed):
            self._failed.append(failure)

    @property
    def conformance(self) -> Conformance:
        """The outcome so far, in the order of the registry."""
        failed = {failure.number for failure in self._failed}
        numbers = [behaviour.number for behaviour in BEHAVIOURS]
        return Conformance(
            target_of(self._config).spec.name,
            [number for number in numbers if number in self._passed and number not in failed],
            {number: self._skipped[number] for number in numbers if number in self._skipped},
            self._failed,
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table, and with `--utd-json` the same as JSON in the last line."""
        from rich.console import Console

        conformance = self.conformance
        terminalreporter.ensure_newline()
        console = Console(file=terminalreporter._tw._file, soft_wrap=True)
        console.print(conformance.table())
        for line in conformance.lines():
            terminalreporter.write_line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """The JSON comes after everything that pytest itself prints."""
        if self._config.getoption("utd_json"):
            sys.stdout.write(json.dumps(self.conformance.as_dict()) + "\n")
            sys.stdout.flush()


def _why(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[0] if lines else "failed"
