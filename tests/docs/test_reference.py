"""The reference is complete, and what the book says about the code is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import utd_core
import utd_core.client
import utd_core.media

from .blocks import Block, read_blocks

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
DIRECTIVE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
ENTRY = re.compile(r"(?P<indent> *)(?P<path>\S+)(?:$|  +\S)")
NOT_FOR_APPLICATIONS = {"Devices", "EngineLink", "MediaLink", "SessionEvent"}
"""Of `utd_core.client`: types that appear in signatures, and are explained where they appear."""


def documented() -> set[int]:
    """The objects that the reference shows, by identity."""
    found = set()
    for page in (DOCS / "reference").glob("*.md"):
        for path in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            found.add(id(resolve(path)))
    return found


def resolve(path: str) -> object:
    module, _, name = path.rpartition(".")
    found = __import__(module, fromlist=[name])
    return getattr(found, name)


DOCUMENTED = documented()


@pytest.mark.parametrize("name", sorted(set(utd_core.__all__) - {"__version__"}))
def test_every_public_name_is_in_the_reference(name: str) -> None:
    assert id(getattr(utd_core, name)) in DOCUMENTED


@pytest.mark.parametrize("name", sorted(set(utd_core.__all__) - {"__version__"}))
def test_every_public_name_is_in_the_list_of_them(name: str) -> None:
    assert f"`{name}`" in (DOCS / "reference" / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(utd_core.client.__all__) - NOT_FOR_APPLICATIONS))
def test_every_name_of_the_client_is_in_the_reference(name: str) -> None:
    assert id(getattr(utd_core.client, name)) in DOCUMENTED


@pytest.mark.parametrize("name", sorted(set(utd_core.media.__all__) - {"Frame"}))
def test_every_name_of_the_media_layer_is_in_the_reference(name: str) -> None:
    assert id(getattr(utd_core.media, name)) in DOCUMENTED


def titled_blocks(pattern: str) -> list[Block]:
    return [block for page in sorted(DOCS.glob(pattern)) for block in read_blocks(page) if block.title is not None]


EXAMPLES = [block for block in titled_blocks("how-to/*.md") if str(block.title).startswith("examples/")]


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_an_example_in_the_book_is_the_file_in_the_repository(block: Block) -> None:
    assert block.title is not None
    assert (ROOT / block.title).read_text(encoding="utf-8") == block.code


def test_every_example_is_in_the_book() -> None:
    shown = {block.title for block in titled_blocks("how-to/*.md")}
    assert {path.relative_to(ROOT).as_posix() for path in ROOT.glob("examples/*/*.py")} <= shown


def test_the_tutorial_goes_on_with_the_app_as_it_was_left() -> None:
    apps = [block.code for block in titled_blocks("tutorial/*.md") if block.title == "open_mic.py"]
    assert len(apps) > 1
    assert len(set(apps)) == 1


class TestTheFoldersOfTheArchitecturePage:
    def tree(self) -> list[str]:
        """Every path that the page draws."""
        page = DOCS / "architecture.md"
        drawn = next(block for block in read_blocks(page) if block.code.startswith("pyproject.toml"))
        paths: list[str] = []
        folders: list[str] = []
        for line in drawn.code.splitlines():
            entry = ENTRY.match(line)
            assert entry is not None, line
            depth = len(entry["indent"]) // 2
            folders[depth:] = [entry["path"]]
            paths.append("".join(folders))
        return paths

    def test_exist(self) -> None:
        assert [path for path in self.tree() if not (ROOT / path).exists()] == []

    def test_name_every_package(self) -> None:
        packages = {f"{path.parent.relative_to(ROOT).as_posix()}/" for path in ROOT.glob("utd_core/*/__init__.py")}
        assert packages <= set(self.tree())
