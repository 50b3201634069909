"""Puts the book's parts in the order in which they are read. An mkdocs hook (see `mkdocs.yml`).

The navigation follows the folders of `docs/`, so a new page cannot be forgotten in it. Within a part `index.md` comes
first and the others by file name; the pages of the tutorial are numbered.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.utils import nest_paths

PARTS = ("tutorial", "how-to", "reference", "explanation")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    pages = sorted(files.documentation_pages(), key=place)
    config.nav = nest_paths(page.src_uri for page in pages)  # type: ignore[no-untyped-call]  # mkdocs leaves it untyped
    return files


def place(file: File) -> tuple[int, bool, str]:
    path = PurePosixPath(file.src_uri)
    part = PARTS.index(path.parts[0]) + 1 if path.parts[0] in PARTS else 0
    return part, path.name != "index.md", file.src_uri
