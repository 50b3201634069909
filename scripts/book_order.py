"""Puts the book's parts in the order in which they are read. An mkdocs hook (see `mkdocs.yml`).

The navigation follows the folders of `docs/`, so a new page cannot be forgotten in it. Within a part `index.md` comes
first, then the pages in the order in which it links to them, then the others by file name.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.utils import nest_paths

PARTS = ("index.md", "tutorial", "how-to", "reference", "explanation")
LINK = re.compile(r"\]\(([\w.-]+\.md)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    docs = Path(config.docs_dir)
    pages = sorted(files.documentation_pages(), key=lambda page: place(page, docs))
    config.nav = nest_paths(page.src_uri for page in pages)  # type: ignore[no-untyped-call]  # mkdocs leaves it untyped
    return files


def place(file: File, docs: Path) -> tuple[int, int, str]:
    path = PurePosixPath(file.src_uri)
    part = PARTS.index(path.parts[0]) if path.parts[0] in PARTS else len(PARTS)
    reading = ["index.md", *links(docs / path.parent / "index.md")]
    return part, reading.index(path.name) if path.name in reading else len(reading), file.src_uri


def links(index: Path) -> list[str]:
    """Pages of its own folder that a part's `index.md` links to, in order."""
    return LINK.findall(index.read_text(encoding="utf-8")) if index.exists() else []
