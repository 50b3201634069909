"""`utd` itself: its table of subcommands, and how it fails."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest
from typer.testing import CliRunner

from utd_core.cli import main
from utd_core.cli.main import COMMANDS, Subcommand, app
from utd_core.errors import Conflict
from utd_core.version import __version__


def test_help_names_every_subcommand() -> None:
    shown = CliRunner().invoke(app, ["--help"], prog_name="utd")
    assert shown.exit_code == 0
    for name, subcommand in COMMANDS.items():
        assert name in shown.output
        assert subcommand.summary.split()[0] in shown.output


def test_help_and_version_import_no_subcommand_and_no_engine() -> None:
    program = (
        "import sys; from utd_core.cli import main\n"
        "try: main([sys.argv[1]])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "late = {'utd_core.cli.plugins', 'utd_core.cli.doctor', 'utd_core.hooks', 'utd_core.engine', 'sqlalchemy'}\n"
        "assert not late & set(sys.modules), late & set(sys.modules)"
    )
    for option in ("--help", "--version"):
        ran = subprocess.run([sys.executable, "-c", program, option], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr


def test_version() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"utd-core {__version__}\n")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_line_of_the_table_leads_to_a_documented_function(name: str) -> None:
    subcommand = COMMANDS[name]
    function = getattr(import_module(f"utd_core.cli.{subcommand.module}"), subcommand.function)
    assert inspect.getdoc(function)
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def test_an_unknown_subcommand_is_a_usage_error() -> None:
    shown = CliRunner().invoke(app, ["plugin"])
    assert shown.exit_code == 2
    assert "plugin" in shown.output


def test_an_error_of_the_package_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> None:
        """Fail."""
        raise Conflict("not in this state; try later")

    monkeypatch.setattr("utd_core.cli.plugins.failing", failing, raising=False)
    monkeypatch.setitem(COMMANDS, "failing", Subcommand("plugins", "failing", "Fail."))
    with pytest.raises(SystemExit) as ended:
        main(["failing"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "utd: not in this state; try later [conflict]\n"
