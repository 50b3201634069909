"""Reads the fenced code blocks of a Markdown page, and says what a reader does with each of them.

| fence                          | what it is                                                                        |
|--------------------------------|-----------------------------------------------------------------------------------|
| ```` ```python ````            | runs; the blocks of a page share one namespace, in order; `await` works at the top |
| ```` ```python title="a.py" ```` | a file of its own: `python -m a` runs, or pytest where it is named `test_*.py`  |
| ```` ```LANGUAGE title="F" ````  | the file F, for the blocks below it                                             |
| ```` ```console ````           | every line `$ utd ...` runs and has to exit with 0; other lines are for the reader |
| ```` ```text ````              | output, or something that cannot run here; it never runs                          |

Everything happens in one empty folder per page. Other spellings (`py`, `bash`, no language) are refused, so that no
program escapes by a typing error.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
TITLE = re.compile(r'title="([^"]+)"')
NEVER_RUN = frozenset({"text", "json", "toml", "yaml", "ini", "sql", "html", "http", "makefile", "dockerfile"})


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `line` is the number of its first line of code, counted from 1."""

    page: Path
    line: int
    language: str
    title: str | None
    code: str

    @property
    def commands(self) -> list[list[str]]:
        """The `utd` commands of a console block, split into words."""
        if self.language != "console":
            return []
        lines = self.code.replace("\\\n", " ").splitlines()
        return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ utd")]

    @property
    def runs(self) -> bool:
        return self.language == "python" or bool(self.commands)

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


class UnknownLanguage(ValueError):
    """A fence in a language that is neither run nor known as one that is not."""


def read_blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order; those inside of lists, tabs and admonitions too."""
    blocks = []
    lines = page.read_text(encoding="utf-8").splitlines()
    index = 0
    while index < len(lines):
        opening = FENCE.match(lines[index])
        index += 1
        if opening is None:
            continue
        start = index
        while index < len(lines) and not closes(lines[index], opening["fence"]):
            index += 1
        if index == len(lines):
            raise ValueError(f"{page}:{start}: this block is never closed")
        blocks.append(block_of(page, start + 1, opening["info"], lines[start:index]))
        index += 1
    return blocks


def closes(line: str, fence: str) -> bool:
    stripped = line.strip()
    return len(stripped) >= len(fence) and set(stripped) == {fence[0]}


def block_of(page: Path, line: int, info: str, lines: list[str]) -> Block:
    language, _, attributes = info.strip().partition(" ")
    if language not in {"python", "console"} | NEVER_RUN:
        raise UnknownLanguage(
            f"{page}:{line - 1}: a block in {language!r}; write python or console for what runs, text for what cannot"
        )
    title = TITLE.search(attributes)
    return Block(page, line, language, title[1] if title else None, textwrap.dedent("\n".join(lines)) + "\n")
