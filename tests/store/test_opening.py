"""Several open the same new file at one instant: SQLite refuses some of them at once, and all of them must be in."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from utd_core.errors import StoreFailed
from utd_core.store import sqlite
from utd_core.store.schema import revision
from utd_core.store.sqlite import connect_to_file
from utd_core.store.tables import SCHEMA

ROUNDS = 20

OPENER = """
import sys
from pathlib import Path
from utd_core.store.sqlite import connect_to_file

for line in sys.stdin:
    try:
        connect_to_file(Path(line.strip())).close()
        print("open", flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
"""


@contextmanager
def opener() -> Iterator[subprocess.Popen[str]]:
    """A process that opens, and closes, each file that it is told of."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", OPENER], stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.stdin.close()  # type: ignore[union-attr]  # it is a pipe


def tell(process: subprocess.Popen[str], path: Path) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{path}\n")
    process.stdin.flush()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def open_at_once(path: Path, together: threading.Barrier) -> None:
    together.wait(30)
    connect_to_file(path).close()


def check_migrated_once(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert revision(connection) == SCHEMA
        assert connection.execute("SELECT project FROM utd_epoch").fetchall() == [("embedded",)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_two_processes_that_open_a_new_file_at_one_instant_are_both_in(tmp_path: Path) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(opener()) for _ in range(2)]
        for number in range(ROUNDS):
            path = tmp_path / f"{number}.db"
            for process in processes:
                tell(process, path)
            assert [heard(process) for process in processes] == ["open", "open"]
            check_migrated_once(path)


def test_threads_that_open_a_new_file_at_one_instant_are_all_in(tmp_path: Path) -> None:
    for number in range(ROUNDS):
        path = tmp_path / f"{number}.db"
        together = threading.Barrier(4)
        with ThreadPoolExecutor(4) as threads:
            for opened in [threads.submit(open_at_once, path, together) for _ in range(4)]:
                opened.result(30)
        check_migrated_once(path)


def test_a_new_file_that_stays_locked_is_given_up_after_the_busy_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.2)
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreFailed, match="locked"):
            connect_to_file(path)
        other.execute("ROLLBACK")
    connect_to_file(path).close()
