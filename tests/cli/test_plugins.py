"""`utd plugins`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from tests.hooks.plugins import Installed, Plugin, spec_of
from utd_core.cli.main import app
from utd_core.hooks import PluginManager, default_manager
from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import Fault


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """What `utd plugins` finds installed."""
    found = Installed(monkeypatch)
    monkeypatch.delenv("UTD_PLUGINS", raising=False)
    monkeypatch.setattr("utd_core.cli.plugins.default_manager", lambda: PluginManager(entry_points=found.entry_points))
    monkeypatch.setenv("COLUMNS", "200")
    yield found
    default_manager.cache_clear()


def run(*arguments: str) -> str:
    shown = CliRunner().invoke(app, ["plugins", *arguments])
    assert shown.exit_code == 0, shown.output
    return shown.output


def test_the_table_compares_backends_and_shows_what_is_broken(installed: Installed) -> None:
    installed.add("one", Plugin(spec_of("first"), spec_of("second", capabilities=Capabilities(max_participants=2))))
    installed.add("broken", "no_such_module_at_all")
    installed.add("empty", Plugin())
    output = run()
    assert "first, second" in output
    assert "importing no_such_module_at_all raised ModuleNotFoundError" in output
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines()]
    assert ["video", "no", "yes"] in rows
    assert ["max_participants", "no limit", "2"] in rows
    assert ["sample_rates", "48000", "48000"] in rows
    assert ["fault jitter", "yes", "yes"] in rows
    assert ["fault signal_drop", "no", "no"] in rows
    assert any(row[:1] == ["empty"] and row[-1] == "none" for row in rows)


def test_a_missing_library_is_shown_with_how_to_get_it(installed: Installed) -> None:
    installed.add("one", Plugin(spec_of("first", requires=("no_such_library",), distribution="utd-first")))
    installed.add("two", Plugin(spec_of("second", requires=("no_such_library",))))
    output = run()
    assert "first: not importable here: no_such_library; pip install utd-first" in output
    assert "second: not importable here: no_such_library; install them" in output


def test_nothing_installed_says_what_to_do(installed: Installed) -> None:
    assert "pip install utd-mock" in run()


def test_json_holds_everything(installed: Installed) -> None:
    installed.add("one", Plugin(spec_of("first", requires=("no_such_library",))))
    installed.add("broken", "no_such_module_at_all")
    broken, one = json.loads(run("--json"))["plugins"]
    assert broken["error"]["code"] == "plugin_failed"
    assert broken["backends"] == []
    (backend,) = one["backends"]
    assert one["error"] is None
    assert (backend["name"], backend["missing"], backend["faults"]) == ("first", ["no_such_library"], ["jitter"])
    assert backend["capabilities"]["video"] is False
    assert backend["capabilities"]["sample_rates"] == [48_000]


def test_the_installed_mock_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UTD_PLUGINS", "mock")
    default_manager.cache_clear()
    (mock,) = json.loads(run("--json"))["plugins"]
    default_manager.cache_clear()
    assert (mock["name"], mock["distribution"]) == ("mock", "utd-mock")
    assert sorted(Fault) == mock["backends"][0]["faults"]
