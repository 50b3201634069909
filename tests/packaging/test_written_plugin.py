"""The plugin of `docs/how-to/write-a-plugin.md`, with the page's own files: it builds, installs and is found."""

from __future__ import annotations

import json
import sys

import pytest

from ..docs.blocks import read_blocks
from .conftest import ROOT, UV, Installation, Wheel, install, run

PAGE = ROOT / "docs" / "how-to" / "write-a-plugin.md"


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Wheel], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The plugin in a clean environment, beside the core and the mock that it takes its parts from."""
    folder = tmp_path_factory.mktemp("written-plugin")
    source = folder / "acme-utd"
    for block in read_blocks(PAGE):
        if block.title is not None:
            file = source / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code, encoding="utf-8")
    (source / "acme_utd" / "__init__.py").touch()
    out = folder / "out"
    backend = ("--no-build-isolation", "--python", sys.executable)
    run(UV, "build", "--quiet", "--wheel", *backend, "--out-dir", out, source, cwd=folder)
    (plugin,) = out.glob("*.whl")
    core, mock = wheels["utd_core"].path, wheels["utd_mock"].path
    return install(folder / "venv", f"utd-core[testing] @ {core.as_uri()}", mock, plugin)


def test_it_shows_up_by_itself(installed: Installation) -> None:
    assert "acme" in installed.run("utd", "plugins")
    assert "found on PATH" in installed.run("utd", "doctor")


def test_its_contract_runs_by_its_name(installed: Installation) -> None:
    outcome = json.loads(installed.run("utd", "contract", "acme", "--json").splitlines()[-1])
    assert outcome["backend"] == "acme"
    assert outcome["passed"]
    assert not outcome["failed"]
