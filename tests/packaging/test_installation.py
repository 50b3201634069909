"""The wheels, installed into a clean environment, work there."""

from __future__ import annotations

import pytest

from utd_core import __version__

from .conftest import PACKAGES, Installation
from .test_imports import MODULES


@pytest.mark.parametrize("package", PACKAGES)
def test_the_installed_package_imports_from_the_wheel(installation: Installation, package: str) -> None:
    where = installation.run("python", "-c", f"import {package}; print({package}.__file__)")
    assert where.startswith(str(installation.home))


def test_the_command_starts(installation: Installation) -> None:
    said = installation.run("utd", "--help")
    for command in ("demo", "contract", "plugins", "doctor"):
        assert command in said


def test_the_plugins_are_found_through_their_entry_points(installation: Installation) -> None:
    assert "mock" in installation.run("utd", "plugins")


def test_metadata_agrees_with_the_code(installation: Installation) -> None:
    said = installation.run(
        "python",
        "-c",
        "import utd_core as u; from importlib.metadata import version as v; print(v('utd-core'), u.__version__)",
    )
    assert said.split() == [__version__, __version__]


def test_every_module_of_the_core_imports_with_its_declared_dependencies_alone(core_alone: Installation) -> None:
    core_alone.run("python", "-c", f"import {', '.join(MODULES)}")


def test_the_core_alone_tells_how_to_get_a_backend(core_alone: Installation) -> None:
    assert "utd-mock" in core_alone.run("utd", "plugins")


def test_the_pytest_plugin_disturbs_nobody_who_did_not_ask_for_it(core_and_pytest: Installation) -> None:
    test = core_and_pytest.home / "test_of_somebody_else.py"
    heavy = {"utd_core.client", "utd_core.engine", "pydantic", "sqlalchemy", "typer"}
    test.write_text(f"import sys\n\ndef test_it():\n    assert not {heavy} & set(sys.modules)\n")
    assert "1 passed" in core_and_pytest.run("python", "-W", "error", "-m", "pytest", "--strict-markers", str(test))
