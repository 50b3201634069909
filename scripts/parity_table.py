"""Write docs/reference/parity.md from tests/parity/rows.toml and the marks of the tests.

python scripts/parity_table.py            write the page
python scripts/parity_table.py --check    exit 1 when the page is not what rows and marks say

A test names the rows that it proves: `@pytest.mark.parity("U12", "U13")`. The marks are read from the source, so that
no test has to be imported. A mark of an unknown row is an error, a mark that proves a planned row is one, and so is a
row that is neither planned nor proved.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "tests" / "parity" / "rows.toml"
PAGE = ROOT / "docs" / "reference" / "parity.md"
CONTRACT = ROOT / "utd_core" / "testing" / "contract"
TESTED_ON = "mock"
OTHERS = ("webrtc_p2p", "livekit")
MARK = "pytest.mark.parity"

HEAD = """\
# Parity

What users of this field expect, row by row, and the tests that prove it here. The first four parts are the behaviours
of systems that they may come from; the last holds what none of those has.

- *built*: there are tests that name the row, and they run on this backend. *partly*: the same, without what the row
  says is open. *planned*: nothing is claimed.
- Tests of this repository run on the mock, and those in a folder that is named after another backend on that one. Those
  of the [contract](contract.md), marked with a star, are played by any backend whose capabilities allow it; a row has
  their word for a backend whose folder runs the contract.

<!-- Written by scripts/parity_table.py from tests/parity/rows.toml and the marks of the tests. -->
"""


@dataclass(frozen=True, slots=True)
class Row:
    """`open` names what of the row is not built; `proofs` are the test modules that name it, the contract's starred."""

    name: str
    what: str
    here: str
    open: str
    planned: bool
    proofs: tuple[str, ...]

    @property
    def state(self) -> str:
        return "planned" if self.planned else "partly" if self.open else "built"

    def state_on(self, backend: str) -> str:
        """The same where another backend than the mock is played on."""
        plays_contract = (ROOT / "tests" / backend / "test_contract.py").exists()
        proved = any(
            proof.startswith(f"{backend}/") or (proof.startswith("*") and plays_contract) for proof in self.proofs
        )
        return self.state if proved else "planned"


@dataclass(frozen=True, slots=True)
class Part:
    letter: str
    title: str
    rows: tuple[Row, ...]


def read() -> list[Part]:
    """The table. Raises `ValueError` where marks and rows do not fit together."""
    proofs = read_proofs()
    parts = []
    for letter, part in tomllib.loads(ROWS.read_text(encoding="utf-8")).items():
        rows = tuple(
            Row(
                row["row"],
                row["what"],
                row.get("here", ""),
                row.get("open", ""),
                row.get("planned", False),
                tuple(sorted(proofs.get(row["row"], ()))),
            )
            for row in part["rows"]
        )
        parts.append(Part(letter, part["title"], rows))
    wrong = list(mistakes(parts, proofs))
    if wrong:
        raise ValueError("\n".join(wrong))
    return parts


def mistakes(parts: Iterable[Part], proofs: Mapping[str, set[str]]) -> Iterator[str]:
    rows = {row.name: row for part in parts for row in part.rows}
    for name in sorted(proofs.keys() - rows.keys()):
        yield f"{', '.join(sorted(proofs[name]))}: there is no row {name}; {ROWS.name} lists them"
    for row in rows.values():
        if row.planned and row.proofs:
            yield f"{row.name} is planned, and {', '.join(row.proofs)} proves it; say in {ROWS.name} what is still open"
        elif not row.planned and not row.proofs:
            yield f'no test proves {row.name}; mark one with @{MARK}("{row.name}"), or plan the row in {ROWS.name}'


def read_proofs() -> dict[str, set[str]]:
    """By row, the test modules that name it."""
    proofs: dict[str, set[str]] = {}
    for path in sorted([*(ROOT / "tests").rglob("test_*.py"), *CONTRACT.glob("test_*.py")]):
        name = f"*{path.stem}" if path.is_relative_to(CONTRACT) else path.relative_to(ROOT / "tests").as_posix()[:-3]
        for row in marks(path.read_text(encoding="utf-8"), name):
            proofs.setdefault(row, set()).add(name)
    return proofs


def marks(source: str, where: str) -> Iterator[str]:
    """The rows that a test module names. Raises `ValueError` for a mark that is not on a test, or names no row."""
    if MARK not in source:
        return
    tree = ast.parse(source)
    on_tests: set[ast.expr] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            on_tests.update(node.decorator_list)
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
        ):
            on_tests.update(node.value.elts if isinstance(node.value, ast.List) else [node.value])
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == MARK:
            call = next((test for test in on_tests if isinstance(test, ast.Call) and test.func is node), None)
            rows = [] if call is None else [ast.literal_eval(argument) for argument in call.args]
            if not rows or not all(isinstance(row, str) for row in rows):
                raise ValueError(f'{where}, line {node.lineno}: a mark stands on a test and names rows: @{MARK}("U12")')
            yield from rows


def page() -> str:
    """The whole page. Raises `ValueError`."""
    parts = read()
    lines = [HEAD, *overview(parts)]
    for part in parts:
        lines += ["", f"## {part.title[0].upper()}{part.title[1:]}", "", *table(part.rows)]
    return "\n".join(lines) + "\n"


def overview(parts: Sequence[Part]) -> Iterator[str]:
    yield "| part | rows | built | partly | planned |"
    yield "|---|---|---|---|---|"
    for part in parts:
        states = [row.state for row in part.rows]
        counts = [len(states), *(states.count(state) for state in ("built", "partly", "planned"))]
        yield f"| {part.letter}: {part.title} | {' | '.join(map(str, counts))} |"


def table(rows: Iterable[Row]) -> Iterator[str]:
    yield f"| row | what | here | {TESTED_ON} | {' | '.join(OTHERS)} | proved by |"
    yield f"|---|---|---|---|{'---|' * len(OTHERS)}---|"
    for row in rows:
        here = "; ".join(filter(None, [row.here, row.open and f"*open*: {row.open}"]))
        cells = [row.name, row.what, here, row.state, *(row.state_on(backend) for backend in OTHERS)]
        cells.append(", ".join(f"`{module}`" for module in row.proofs))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def main() -> int:
    try:
        text = page()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is not what rows and marks say; run python scripts/parity_table.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
