"""The parity table lists every row, and says of each what the marks of the tests say."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = tomllib.loads((Path(__file__).parent / "rows.toml").read_text(encoding="utf-8"))
ROWS = [row["row"] for part in PARTS.values() for row in part["rows"]]
GROUND_FLOOR = [f"U{number}" for number in range(1, 24)]
TWO_ROWS = """
[U]
title = "one"
[[U.rows]]
row = "U1"
what = "client"
[[U.rows]]
row = "U2"
what = "identity"
"""
ALL_MARKED = """
import pytest

pytestmark = [pytest.mark.asyncio, pytest.mark.parity("U1")]

@pytest.mark.parametrize("n", [1])
@pytest.mark.parity("U1", "U2")
async def test_it(n): ...
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_table", ROOT / "scripts" / "parity_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # where dataclasses look their annotations up
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def repository(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two rows and one test module, which proves both."""
    contract = tmp_path / "contract"
    for folder in (tmp_path / "tests", contract):
        folder.mkdir()
    for name, value in {"ROOT": tmp_path, "ROWS": tmp_path / "rows.toml", "CONTRACT": contract}.items():
        monkeypatch.setattr(script, name, value)
    (tmp_path / "rows.toml").write_text(TWO_ROWS)
    (tmp_path / "tests" / "test_it.py").write_text(ALL_MARKED)
    return tmp_path


def test_the_page_is_what_rows_and_marks_say(script: ModuleType) -> None:
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run python scripts/parity_table.py"


def test_every_row_stands_in_the_page_once(script: ModuleType) -> None:
    assert re.findall(r"^\| ([A-Z]\d+) \|", script.PAGE.read_text(encoding="utf-8"), re.MULTILINE) == ROWS


@pytest.mark.parametrize("part", PARTS)
def test_rows_are_numbered_without_a_gap(part: str) -> None:
    assert [row["row"] for row in PARTS[part]["rows"]] == [f"{part}{n + 1}" for n in range(len(PARTS[part]["rows"]))]


def test_a_row_says_nothing_but_what_is_read(script: ModuleType) -> None:
    known = {"row", "what", "here", "open", "planned"}
    for part in PARTS.values():
        for row in part["rows"]:
            assert set(row) <= known, row["row"]
            assert not {"open", "planned"} <= set(row), f"{row['row']} is planned, so all of it is open"


def test_the_rows_of_the_ground_floor_are_built(script: ModuleType) -> None:
    states = {row.name: row.state for part in script.read() for row in part.rows}
    assert not [row for row in GROUND_FLOOR if states[row] == "planned"]


def test_marks_are_read_from_functions_and_modules(script: ModuleType, repository: Path) -> None:
    (part,) = script.read()
    assert [(row.name, row.state, row.proofs) for row in part.rows] == [
        ("U1", "built", ("test_it",)),
        ("U2", "built", ("test_it",)),
    ]


def test_what_is_open_and_what_is_planned_is_shown(script: ModuleType, repository: Path) -> None:
    third = '[[U.rows]]\nrow = "U3"\nwhat = "x"\nplanned = true\n'
    (repository / "rows.toml").write_text(TWO_ROWS.replace('"client"', '"client"\nopen = "the URL"') + third)
    page = script.page()
    assert "| U: one | 3 | 1 | 1 | 1 |" in page
    assert "| U1 | client | *open*: the URL | partly | planned | planned | `test_it` |" in page
    assert "| U3 | x |  | planned | planned | planned |  |" in page


def test_a_row_is_built_on_a_backend_that_its_tests_are_played_on(script: ModuleType, repository: Path) -> None:
    folder = repository / "tests" / "webrtc_p2p"
    folder.mkdir()
    (folder / "test_calls.py").write_text('import pytest\n\n@pytest.mark.parity("U1")\ndef test_it(): ...\n')
    (repository / "contract" / "test_session.py").write_text(
        'import pytest\n\n@pytest.mark.parity("U2")\ndef test_it(): ...\n'
    )
    assert "| U1 | client |  | built | built | planned |" in script.page()
    assert "| U2 | identity |  | built | planned | planned |" in script.page()
    (folder / "test_contract.py").write_text("")
    assert "| U2 | identity |  | built | built | planned |" in script.page()


def test_a_mark_of_an_unknown_row_is_an_error(script: ModuleType, repository: Path) -> None:
    (repository / "tests" / "test_it.py").write_text(ALL_MARKED.replace("U2", "U7"))
    with pytest.raises(ValueError, match="test_it: there is no row U7"):
        script.page()


def test_a_row_that_nothing_proves_is_an_error(script: ModuleType, repository: Path) -> None:
    (repository / "tests" / "test_it.py").write_text(ALL_MARKED.replace(', "U2"', ""))
    with pytest.raises(ValueError, match="no test proves U2"):
        script.page()


def test_a_planned_row_that_a_test_proves_is_an_error(script: ModuleType, repository: Path) -> None:
    (repository / "rows.toml").write_text(TWO_ROWS + "planned = true\n")
    with pytest.raises(ValueError, match="U2 is planned, and test_it proves it"):
        script.page()


@pytest.mark.parametrize(
    "source",
    [
        '@pytest.mark.parity("U1")\ndef helper(): ...',
        "@pytest.mark.parity()\ndef test_it(): ...",
        "@pytest.mark.parity\ndef test_it(): ...",
        "@pytest.mark.parity(1)\ndef test_it(): ...",
        'rows = pytest.mark.parity("U1")',
    ],
)
def test_a_mark_that_is_on_no_test_or_names_nothing_is_an_error(
    script: ModuleType, repository: Path, source: str
) -> None:
    (repository / "tests" / "test_it.py").write_text(f"{ALL_MARKED}\n{source}\n")
    with pytest.raises(ValueError, match=r"test_it, line 10: a mark stands on a test"):
        script.page()


def test_the_command_refuses_a_page_that_is_old_and_writes_it_anew(
    script: ModuleType, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "PAGE", repository / "parity.md")
    monkeypatch.setattr("sys.argv", ["parity_table.py", "--check"])
    assert script.main() == 1
    assert "run python scripts/parity_table.py" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["parity_table.py"])
    assert script.main() == 0
    monkeypatch.setattr("sys.argv", ["parity_table.py", "--check"])
    assert script.main() == 0
