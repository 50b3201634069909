"""What README and the book show is run here, as a reader would; how, stands in `blocks.py`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from .blocks import UnknownLanguage, read_blocks

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("plugins/*/README.md"))]
RUNNING = [page for page in PAGES if page == README or any(block.runs for block in read_blocks(page))]
BESIDE_EACH_OTHER = 4
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")

Ran = subprocess.CompletedProcess[str]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def follow(page: Path, folder: Path) -> Ran:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.docs.run_page", page],
        cwd=folder,
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": str(Path(sys.executable).parent),
            "HOME": str(folder),
            "COLUMNS": "120",
            # Readers have set one, as how-to/projects.md says.
            "UTD_SECRET_KEY": f"{'A' * 43}=",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def followed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Path, Future[Ran]]]:
    """The pages under test, each on its way: they are processes of their own, and go beside each other."""
    pages = [page for item in request.session.items if (page := page_of(item)) is not None]
    with ThreadPoolExecutor(BESIDE_EACH_OTHER) as pool:
        yield {page: pool.submit(follow, page, tmp_path_factory.mktemp(page.stem)) for page in pages}
        pool.shutdown(cancel_futures=True)


def page_of(item: pytest.Item) -> Path | None:
    """The page that this test runs."""
    if not isinstance(item, pytest.Function) or item.function is not test_the_blocks_of_the_page_run:
        return None
    page = item.callspec.params["page"]
    assert isinstance(page, Path)
    return page


@pytest.mark.parametrize("page", RUNNING, ids=name_of)
def test_the_blocks_of_the_page_run(page: Path, followed: Mapping[Path, Future[Ran]]) -> None:
    ran = followed[page].result()
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout.splitlines()[-1]) == sum(block.runs for block in read_blocks(page)) > 0


def test_readme_has_three_programs() -> None:
    assert sum(block.language == "python" for block in read_blocks(README)) >= 3


def test_the_book_has_programs_too() -> None:
    assert len(RUNNING) > 3


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page: Path) -> None:
    dead = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]
    assert not dead


class TestTheRunnerItself:
    """It must not be possible to pass by not running."""

    def test_a_failing_block_fails_and_names_its_line(self, tmp_path: Path) -> None:
        page = write(tmp_path, "# page", "```python", "x = 1", "raise RuntimeError(x)", "```")
        ran = follow(page, tmp_path)
        assert ran.returncode != 0
        assert f'{page}", line 4' in ran.stderr

    def test_blocks_share_names_and_await_at_the_top(self, tmp_path: Path) -> None:
        page = write(
            tmp_path,
            "```python", "import asyncio", "lock = asyncio.Lock()", "await lock.acquire()", "```", "and then",
            "    ```python", "    assert lock.locked()", "    ```",
        )  # fmt: skip
        assert follow(page, tmp_path).stdout.splitlines()[-1] == "2"

    def test_a_titled_block_is_a_file_and_tests_are_tested(self, tmp_path: Path) -> None:
        page = write(
            tmp_path,
            '```python title="app.py"', "answer = 42", "```",
            '```python title="test_app.py"', "from app import answer", "def test_it():", "    assert answer == 43",
            "```",
        )  # fmt: skip
        ran = follow(page, tmp_path)
        assert ran.returncode != 0
        assert "assert 42 == 43" in ran.stderr

    def test_a_command_that_fails_fails_the_page(self, tmp_path: Path) -> None:
        page = write(tmp_path, "```console", "$ utd no-such-command", "```")
        ran = follow(page, tmp_path)
        assert ran.returncode != 0
        assert "no-such-command" in ran.stderr

    def test_text_never_runs(self, tmp_path: Path) -> None:
        page = write(tmp_path, "```text", "$ utd no-such-command", "```")
        assert follow(page, tmp_path).stdout.splitlines()[-1] == "0"

    @pytest.mark.parametrize("language", ["py", "bash", "", "Python"])
    def test_no_program_escapes_by_its_spelling(self, tmp_path: Path, language: str) -> None:
        with pytest.raises(UnknownLanguage, match=r"page\.md:1"):
            read_blocks(write(tmp_path, f"```{language}", "x", "```"))

    def test_a_block_that_never_closes_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="never closed"):
            read_blocks(write(tmp_path, "```python", "x = 1"))


def write(folder: Path, *lines: str) -> Path:
    page = folder / "page.md"
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return page
