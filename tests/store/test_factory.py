"""Which store a name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from utd_core.errors import InvalidInput
from utd_core.store import open_store
from utd_core.store.file import FileStore
from utd_core.store.memory import MemoryStore
from utd_core.store.postgres import PostgresStore


@pytest.mark.parametrize("target", [None, ":memory:", "sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_memory(target: str | None) -> None:
    assert isinstance(open_store(target), MemoryStore)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("rooms.db", "rooms.db"),
        (Path("data") / "rooms.db", "data/rooms.db"),
        ("/srv/rooms.db", "/srv/rooms.db"),
        ("sqlite:///rooms.db", "rooms.db"),
        ("sqlite:////srv/rooms.db", "/srv/rooms.db"),
        ("sqlite:///a%20b%23.db", "a b#.db"),
        ("50%.db", "50%.db"),
    ],
)
def test_a_file(target: str | Path, path: str) -> None:
    store = open_store(target)
    assert isinstance(store, FileStore)
    assert store.path == Path(path)


@pytest.mark.parametrize("target", ["postgresql://ann:secret@db/rooms", "postgres:///rooms?host=/run/postgresql"])
def test_postgresql(target: str) -> None:
    store = open_store(target, project="mine")
    assert isinstance(store, PostgresStore)
    assert store.project == "mine"


@pytest.mark.parametrize(
    "target",
    ["", "postgresql+asyncpg://ann:secret@db/rooms", "mysql://db", "sqlite+aiosqlite:///x", "sqlite://host/x", "a\0b"],
)
def test_anything_else_is_refused_with_what_is_supported(target: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        open_store(target)
    assert "sqlite" in refused.value.message
    assert "secret" not in refused.value.message


def test_bytes_are_no_name() -> None:
    with pytest.raises(InvalidInput):
        open_store(b"rooms.db")  # type: ignore[arg-type]  # what the error is for


async def test_names_that_mean_something_in_a_url_are_just_names(tmp_path: Path) -> None:
    for name in ("a b.db", "50%.db", "who?mode=ro.db", "#1.db", "ünï.db"):
        async with open_store(tmp_path / name):
            pass
        assert (tmp_path / name).exists()
