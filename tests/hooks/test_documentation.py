"""Every hook is documented with its exact signature, and tested."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from utd_core.hooks import spec
from utd_core.hooks.validate import HOOKS

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "reference" / "hooks.md"


def test_the_hooks_are_these() -> None:
    assert set(HOOKS) == {"utd_contract_harness", "utd_doctor", "utd_media_backends", "utd_message_buses"}


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_a_hook_has_a_section_with_its_exact_signature(name: str) -> None:
    _, found, section = PAGE.read_text(encoding="utf-8").partition(f"## `{name}`\n")
    assert found, f"docs/reference/hooks.md has no section '## `{name}`'"
    assert f"def {HOOKS[name].signature}" in section.partition("\n## ")[0]


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_a_hook_says_in_its_docstring_what_it_is_for(name: str) -> None:
    assert len(inspect.getdoc(getattr(spec, name)) or "") > 100


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_a_hook_has_a_test_of_its_name(name: str) -> None:
    tree = ast.parse((HERE / "test_manager.py").read_text(encoding="utf-8"))
    tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert any(test.startswith(f"test_hook_{name}_") for test in tests)
