"""Write docs/reference/parity.md from tests/parity/rows.toml and the markers of the tests.

python scripts/parity_table.py            write the page
python scripts/parity_table.py --check    exit 1 when the page is not what rows and markers say

A test names the row that it proves in a comment, `# parity: U12`, or with `@pytest.mark.parity("U12")`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "tests" / "parity" / "rows.toml"
PAGE = ROOT / "docs" / "reference" / "parity.md"
CONTRACT = ROOT / "utd_core" / "testing" / "contract"
BACKENDS = ("mock", "webrtc_p2p", "livekit")
MARKER = re.compile(r"""# parity: ([A-Z]\d+(?:, [A-Z]\d+)*)\b|\.parity\(\s*((?:["'][A-Z]\d+["'],?\s*)+)\)""")

HEAD = """\
# Parity

What users of this field expect, row by row, and the tests that prove it here. The first four parts are the behaviours
of systems that they may come from; the last holds what none of those has.

- *tested*: a test that names the row runs on this backend, and proves as much of the row as it tests. *later*: none
  does.
- Tests of this repository run on the mock. Those of the [contract](contract.md), marked with a star, are played by any
  backend whose capabilities allow it.

<!-- Written by scripts/parity_table.py from tests/parity/rows.toml and the markers of the tests. -->
"""


def page() -> str:
    """The whole page. Raises `ValueError` for a marker that names no row."""
    parts: dict[str, Any] = tomllib.loads(ROWS.read_text(encoding="utf-8"))
    known = [row["row"] for part in parts.values() for row in part["rows"]]
    proved = proofs()
    unknown = {row: files for row, files in proved.items() if row not in known}
    if unknown:
        raise ValueError(f"{ROWS.name} has no such row: {unknown}")
    lines = [HEAD, *overview(parts, proved)]
    for part in parts.values():
        lines += ["", f"## {part['title'][0].upper()}{part['title'][1:]}", "", *table(part["rows"], proved)]
    return "\n".join(lines) + "\n"


def proofs() -> Mapping[str, set[str]]:
    """By row, the test modules that name it; the contract's begin with a star."""
    found: dict[str, set[str]] = {}
    for path in sorted([*(ROOT / "tests").rglob("test_*.py"), *CONTRACT.glob("test_*.py")]):
        name = f"*{path.stem}" if path.is_relative_to(CONTRACT) else path.relative_to(ROOT / "tests").as_posix()[:-3]
        for comment, mark in MARKER.findall(path.read_text(encoding="utf-8")):
            for row in re.findall(r"[A-Z]\d+", comment or mark):
                found.setdefault(row, set()).add(name)
    return found


def overview(parts: Mapping[str, Any], proved: Mapping[str, set[str]]) -> Iterator[str]:
    yield f"| part | rows | {' | '.join(BACKENDS)} |"
    yield f"|---|---|{'---|' * len(BACKENDS)}"
    for name, part in parts.items():
        rows = [row["row"] for row in part["rows"]]
        counts = [sum(has(backend, row, proved) for row in rows) for backend in BACKENDS]
        yield f"| {name}: {part['title']} | {len(rows)} | {' | '.join(map(str, counts))} |"


def table(rows: list[dict[str, str]], proved: Mapping[str, set[str]]) -> Iterator[str]:
    yield f"| row | what | here | {' | '.join(BACKENDS)} | proved by |"
    yield f"|---|---|---|{'---|' * len(BACKENDS)}---|"
    for row in rows:
        name = row["row"]
        states = ["tested" if has(backend, name, proved) else "later" for backend in BACKENDS]
        modules = ", ".join(f"`{module}`" for module in sorted(proved.get(name, ())))
        cells = [name, row["what"], row.get("here", ""), *states, modules]
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def has(backend: str, row: str, proved: Mapping[str, set[str]]) -> bool:
    return backend == "mock" and row in proved


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
    print(f"{PAGE} is not what rows and markers say; run python scripts/parity_table.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
