"""Paths within the server, whatever it is mounted below.

Names may hold a slash (`team/ann`). So a path is cut into segments as it was sent, and decoded afterwards: `%2F` is
part of a name, `/` never is.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

from starlette.types import Scope


def path_of(scope: Scope) -> str:
    """The decoded path below the mount; `/` at the least."""
    path: str = scope["path"]
    return path[len(root_of(scope)) :] or "/"


def root_of(scope: Scope) -> str:
    """What the server is mounted below, without a slash at its end; empty where the path does not begin with it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return root if path == root or path.startswith(f"{root}/") else ""


def segments_of(scope: Scope) -> list[str] | None:
    """The decoded segments of the path below the mount, None where one of them is not UTF-8."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    cut = raw.partition(b"?")[0].split(b"/")
    below = cut[root_of(scope).count("/") + 1 :]
    if b"%" not in raw:
        return [segment.decode("latin-1") for segment in below] if raw.isascii() else None
    try:
        return [unquote_to_bytes(segment).decode() for segment in below]
    except UnicodeDecodeError:
        return None
