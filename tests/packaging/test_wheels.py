"""What the four wheels hold and promise."""

from __future__ import annotations

import re
import tomllib
from pathlib import PurePosixPath

from utd_core import __version__
from utd_core.cli.doctor import EXTRAS

from .conftest import PACKAGES, ROOT, Wheel

LIGHT = {"alembic", "anyio", "pluggy", "pydantic", "pyjwt", "rich", "sqlalchemy", "typer"}


def test_there_are_four_distributions(wheels: dict[str, Wheel]) -> None:
    assert tuple(wheels) == PACKAGES


def test_all_versions_are_the_one_of_the_core(wheels: dict[str, Wheel]) -> None:
    assert {wheel.metadata["Version"] for wheel in wheels.values()} == {__version__}


def test_no_manifest_states_a_version_of_its_own() -> None:
    for manifest in (ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(manifest.read_text(encoding="utf-8"))["project"]
        assert "version" in project["dynamic"], manifest


def test_it_is_typed_and_licensed(wheel: Wheel) -> None:
    assert f"{wheel.package}/py.typed" in wheel.files
    assert "MIT License" in wheel.dist_info("licenses/LICENSE")
    assert wheel.metadata["License-Expression"] == "MIT"


def test_it_holds_its_package_and_nothing_else(wheel: Wheel) -> None:
    assert {PurePosixPath(name).parts[0] for name in wheel.files} == {wheel.package}


def test_the_sdist_loses_no_file(wheels: dict[str, Wheel], wheels_from_tree: dict[str, Wheel]) -> None:
    for package in PACKAGES:
        assert wheels[package].files == wheels_from_tree[package].files


def test_the_core_carries_its_data_files(wheels: dict[str, Wheel]) -> None:
    files = {PurePosixPath(name) for name in wheels["utd_core"].files}
    assert any(path.match("utd_core/cli/assets/*.wav") for path in files), "the recorded voice of `utd demo`"
    assert any(path.match("utd_core/store/migrations/**/*.py") for path in files), "the migrations of the store"


def test_the_core_alone_is_light(wheels: dict[str, Wheel]) -> None:
    requires = wheels["utd_core"].metadata.get_all("Requires-Dist") or []
    unconditional = {name_of(each) for each in requires if "extra ==" not in each}
    assert unconditional == LIGHT


def test_extras_are_the_documented_ones(wheels: dict[str, Wheel]) -> None:
    assert set(wheels["utd_core"].metadata.get_all("Provides-Extra") or []) == set(EXTRAS)


def test_requirements_are_ranges_not_pins(wheel: Wheel) -> None:
    for requirement in wheel.metadata.get_all("Requires-Dist") or []:
        assert "==" not in requirement.split(";")[0], f"{requirement}: pins belong in requirements.lock"


def name_of(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None, requirement
    return found[0]
