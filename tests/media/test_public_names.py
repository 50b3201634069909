"""`utd_core.media` offers its names without loading anything that is not used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from utd_core import media


@pytest.mark.parametrize("name", media.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(media, name)
    assert name in dir(media)
    assert value.__doc__ or name == "Frame"


def test_what_a_type_checker_sees_is_what_there_is() -> None:
    tree = ast.parse(Path(media.__file__).read_text())
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert seen == media._HOME
    assert sorted(seen) == sorted(media.__all__)


def test_a_misspelt_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'WaveSink'"):
        media.WaveSink  # type: ignore[attr-defined]  # that is the point  # noqa: B018


@pytest.mark.parametrize("module", ["frames", "backend", "pump", "sinks.wav", "sinks.container", "sources.file"])
def test_nothing_heavy_is_loaded_before_it_is_needed(module: str) -> None:
    program = f"import utd_core.media.{module}, sys; print({{'av', 'numpy', 'pydantic'}} & set(sys.modules))"
    seen = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "set()"
