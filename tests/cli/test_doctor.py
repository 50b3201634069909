"""`utd doctor`."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.hooks.plugins import Backend, Installed, Plugin, spec_of
from utd_core.cli import doctor
from utd_core.cli.main import app
from utd_core.hooks import Check, PluginManager, hookimpl

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    """What `utd doctor` finds installed, in the place of what really is."""
    found = Installed(monkeypatch)
    monkeypatch.delenv("UTD_PLUGINS", raising=False)
    monkeypatch.setattr("utd_core.cli.doctor.default_manager", lambda: PluginManager(entry_points=found.entry_points))
    monkeypatch.setenv("COLUMNS", "200")
    return found


def test_the_default_works_here_and_a_frame_proves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utd_core.cli.doctor.default_manager", lambda: PluginManager(allow=["mock"]))
    ran = CliRunner().invoke(app, ["doctor", "--json"])
    assert ran.exit_code == 0, ran.output
    report = json.loads(ran.output)
    assert report["ok"]
    checks = {check["name"]: check for check in report["checks"]}
    assert "a frame crossed a room of the mock" in checks["embedded default"]["detail"]
    assert checks["embedded default"]["needed"]
    assert not checks["mock"]["needed"]
    assert {"python", "sqlite", "embedded default", "mock", *doctor.EXTRAS} <= set(checks)


def test_without_the_default_backend_the_exit_status_is_1_and_the_way_out_is_said(installed: Installed) -> None:
    ran = CliRunner().invoke(app, ["doctor"])
    assert ran.exit_code == 1
    assert "pip install utd-mock" in ran.output
    assert "does not work" in ran.output


def test_a_default_backend_that_fails_is_not_ok(installed: Installed) -> None:
    class Failing(Backend):
        name = "mock"

    installed.add("mock", Plugin(spec_of("mock", Failing)))
    check = doctor.check_default()
    assert not check.ok
    assert check.detail == "AssertionError: not asked for"


def test_what_plugins_say_is_shown_with_its_remedy_and_never_needed(installed: Installed) -> None:
    class Doctor:
        @hookimpl
        def utd_doctor(self) -> list[Check]:
            return [Check("turn server", ok=False, detail="[not] set", remedy="set TURN_URL")]

    installed.add("p2p", Doctor())
    installed.add("broken", "no_such_module_at_all")
    found = [(group, check.name, check.ok, needed) for group, check, needed in doctor.examine()]
    assert ("p2p", "turn server", False, False) in found
    assert ("broken", "plugin", False, False) in found
    output = CliRunner().invoke(app, ["doctor"]).output
    assert "[not] set" in output
    assert "set TURN_URL" in output


@pytest.mark.parametrize(("version", "ok"), [((3, 10), False), ((3, 11), True), ((4, 0), True)])
def test_python(version: tuple[int, int], ok: bool) -> None:
    check = doctor.check_python(version)
    assert check.ok is ok
    assert ("3.11" in check.remedy) is not ok


@pytest.mark.parametrize(("version", "ok"), [("3.34.1", False), ("3.35.0", True), ("3.100.0", True)])
def test_sqlite(version: str, ok: bool) -> None:
    assert doctor.check_sqlite(version).ok is ok


def test_a_missing_extra_says_how_to_get_it() -> None:
    check = doctor.check_extra("av", ("asyncio", "no_such_library"))
    assert check == Check("av", False, "not installed: no_such_library", 'pip install "utd-core[av]"')


def test_the_extras_are_those_of_the_distribution() -> None:
    extras = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    declared = {
        extra: {re.split(r"[<>=\[; ]", requirement)[0].replace("-", "_") for requirement in requirements}
        for extra, requirements in extras.items()
    }
    assert declared == {
        extra: {module.replace(".", "_") for module in modules} for extra, modules in doctor.EXTRAS.items()
    }


def test_a_module_of_a_package_that_is_not_there_is_missing() -> None:
    assert doctor.check_extra("otel", ("no_such_library.at.all",)).detail == "not installed: no_such_library.at.all"
