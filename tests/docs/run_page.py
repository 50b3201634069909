"""Runs the blocks of one Markdown page, in the current folder: `python -m tests.docs.run_page PAGE`.

Prints the number of blocks that ran. A block that fails ends it with a traceback that names the page's own lines.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

from .blocks import Block, read_blocks

DEADLINE = 120.0
"""Seconds for one command; `utd demo` plays in real time."""


class Reader:
    """Does what a reader of the page does, in order."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._names: dict[str, Any] = {"__name__": "__main__"}

    def follow(self, block: Block) -> None:
        if block.title is not None:
            file = Path(block.title)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code, encoding="utf-8")
        if block.language == "python":
            if block.title is None:
                self.execute(block)
            elif Path(block.title).name.startswith("test_"):
                command(block, [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", block.title])
            else:
                command(block, [sys.executable, "-m", module_of(block.title)])
        for words in block.commands:
            command(block, [str(Path(sys.executable).with_name(words[0])), *words[1:]])

    def execute(self, block: Block) -> None:
        # Empty lines in front: the traceback then shows the line numbers of the page.
        source = "\n" * (block.line - 1) + block.code
        code = compile(source, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        if code.co_flags & inspect.CO_COROUTINE:
            self._runner.run(eval(code, self._names))
        else:
            exec(code, self._names)


def module_of(file: str) -> str:
    """The name to import a file by; one in a folder is a module of a package."""
    return ".".join(Path(file).with_suffix("").parts)


def command(block: Block, words: list[str]) -> None:
    ran = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE, check=False, stdin=subprocess.DEVNULL)
    if ran.returncode:
        sys.exit(f"{block}: {' '.join(words)}\nexit status {ran.returncode}\n{ran.stdout}\n{ran.stderr}")


def main(page: Path) -> None:
    sys.path.insert(0, str(Path.cwd()))  # the files of the page import each other
    blocks = read_blocks(page)
    with asyncio.Runner() as runner:
        reader = Reader(runner)
        for block in blocks:
            reader.follow(block)
    print(sum(block.runs for block in blocks))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
