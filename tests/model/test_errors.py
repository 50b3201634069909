"""Codes, classes and statuses agree: in the tree of the docstring, in the table, and wherever an error is raised."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from utd_core import errors
from utd_core.errors import EXCEPTION_OF, ErrorCode, Refused, UTDStreamException

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "utd_core").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, UTDStreamException)
}  # fmt: skip


def test_every_code_has_a_class_and_every_class_a_code() -> None:
    assert set(EXCEPTION_OF) == set(ErrorCode)
    assert set(EXCEPTION_OF.values()) == set(CLASSES.values()) - {Refused}


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_a_class_has_the_code_and_the_status_that_the_table_says(kind: type[UTDStreamException]) -> None:
    error = kind("what happened; what to do")
    if kind is not Refused:
        assert EXCEPTION_OF[ErrorCode(error.code)] is kind
    assert EXCEPTION_OF[ErrorCode(error.code)].default_status == error.status_code


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn = re.findall(r"^    ([|` +-]*)(\w+) +(\d+)?", errors.__doc__ or "", re.MULTILINE)
    assert {name for _, name, _ in drawn} == set(CLASSES)
    above: dict[int, str] = {}
    for indent, name, status in drawn:
        depth = len(indent) // 4
        above[depth] = name
        if depth:
            assert CLASSES[name].__bases__ == (CLASSES[above[depth - 1]],), name
        if status:
            assert CLASSES[name].default_status == int(status), name


class Raised(ast.NodeVisitor):
    """Every `Kind(..., code=ErrorCode.X)` of a module, with its status if that is given."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, int | None]] = []

    def visit_Call(self, call: ast.Call) -> None:
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name in CLASSES:
            status = next(
                (a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, int)), None
            )
            given = [*call.args[2:3], *(keyword.value for keyword in call.keywords if keyword.arg == "code")]
            for code in given:
                if (
                    isinstance(code, ast.Attribute)
                    and isinstance(code.value, ast.Name)
                    and code.value.id == "ErrorCode"
                ):
                    self.found.append((name, code.attr, status))
        self.generic_visit(call)


def raised() -> Iterator[tuple[Path, str, str, int | None]]:
    for path in SOURCES:
        visitor = Raised()
        visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
        yield from ((path, *site) for site in visitor.found)


def test_a_code_has_the_same_status_wherever_it_is_raised() -> None:
    sites = list(raised())
    assert len(sites) > 50
    for path, kind, code, status in sites:
        expected = EXCEPTION_OF[ErrorCode[code]].default_status
        assert (status or CLASSES[kind].default_status) == expected, f"{path}: {kind}(code={code})"


def test_every_code_is_used_or_is_the_code_of_a_class() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES if path.name != "errors.py")
    defaults = {kind.default_code for kind in CLASSES.values()}
    assert [code for code in ErrorCode if f"ErrorCode.{code.name}" not in text and code not in defaults] == []
