"""From what a program was told (a path, a URL, nothing) to a store."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from ..errors import InvalidInput
from ..model.identifiers import DEFAULT_PROJECT
from .file import FileStore
from .memory import MemoryStore
from .postgres import PostgresStore
from .sql_store import SqlStore

MEMORY = ":memory:"
SUPPORTED = "a path or sqlite:///PATH for a file, postgresql://USER:PASSWORD@HOST/NAME, or :memory:"


def open_store(target: str | os.PathLike[str] | None = None, *, project: str = DEFAULT_PROJECT) -> SqlStore:
    """A store for `target`; it connects in `open()`, or in `async with`.

    None, ":memory:" and "sqlite://" mean memory; a path, or "sqlite:///" and a path, a SQLite file ("sqlite:////" and
    a path from the root); "postgresql://..." a PostgreSQL database (extra `postgres`). The store has what belongs to
    `project`. Raises `InvalidInput` for anything else.
    """
    if target is None:
        return MemoryStore(project)
    path = os.fspath(target)
    if not isinstance(path, str):
        raise InvalidInput(f"a store is named by text, got {type(path).__name__}; give {SUPPORTED}")
    scheme, separator, rest = path.partition("://")
    if separator:
        if scheme in ("postgresql", "postgres"):
            return PostgresStore(path, project)
        if scheme != "sqlite":
            # The address may hold a password, so only its scheme is repeated.
            raise InvalidInput(f"no store for {scheme}://; give {SUPPORTED}")
        if rest and not rest.startswith("/"):
            raise InvalidInput("sqlite:// needs three slashes before a path, four before one from the root")
        path = unquote(rest.removeprefix("/")) or MEMORY
    if path == MEMORY:
        return MemoryStore(project)
    if not path or "\0" in path:
        raise InvalidInput(f"{path!r} names no file; give {SUPPORTED}")
    return FileStore(Path(path), project)
