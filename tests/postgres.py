"""A real PostgreSQL for tests: `DATABASE_URL` if that is set, else a server of one's own on a Unix socket.

Its programs are the newest ones found: Debian's, those on PATH, or those of the package `pgserver`, which is among the
requirements of the tests. It keeps its data in a folder of its own, runs as nobody where the tests run as root
(PostgreSQL refuses root), and ends with the tests.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from utd_core.store.postgres import PostgresStore

NOBODY = 65_534
PATIENCE = 30.0
"""Seconds that a server may take to start or to stop."""

SETTINGS = {
    "listen_addresses": "",
    # What a commit waits for is not the disk of this machine: no test here cuts the power.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


def programs() -> Path:
    """The folder of the newest PostgreSQL programs on this machine."""
    found = [path.resolve().parent for path in map(Path, filter(None, [shutil.which("postgres")]))]
    found += Path("/usr/lib/postgresql").glob("*/bin")
    spec = importlib.util.find_spec("pgserver")
    if spec is not None and spec.submodule_search_locations:
        found += [Path(place) / "pginstall" / "bin" for place in spec.submodule_search_locations]
    usable = [folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()]
    assert usable, "no PostgreSQL: install the requirements of the tests (pgserver)"
    return max(usable, key=_version)


def _version(folder: Path) -> tuple[int, ...]:
    said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2])


class PostgresServer:
    """A server with a new, empty cluster. `database` is the one that is meant where none is named; `networks` are those
    from which everybody may come, where it listens on an address (`listen_addresses`)."""

    def __init__(self, *, networks: Sequence[str] = (), **settings: str) -> None:
        self.database = "postgres"
        self.folder = Path(tempfile.mkdtemp(prefix="utd-pg-"))
        self.pid: int | None = None
        self._settings = {**SETTINGS, "unix_socket_directories": str(self.folder), **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = _reachable(programs(), self.folder)
        if _is_root():
            os.chown(self.folder, NOBODY, NOBODY)
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.writelines(f"host all all {network} trust\n" for network in networks)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str | None = None) -> str:
        return f"postgresql://postgres@/{database or self.database}?host={self.folder}"

    def start(self) -> None:
        """Start, and return when it answers. Idempotent."""
        if self._process is not None:
            return
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options], stdout=log, stderr=log, **self._user()
            )
        self.pid = self._process.pid
        self._wait("it is ready", self._is_ready)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT cuts every session off, SIGQUIT is a crash of all its processes. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(PATIENCE)

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        self.stop(how)
        self.start()

    def execute(self, sql: str, database: str | None = None) -> str:
        """Run a statement in a session of its own; what it answered, as text."""
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]
        return self._run("psql", *options, self.url(database)).strip()

    def schema_of(self, database: str) -> list[str]:
        """Everything that is declared in a database, line by line."""
        dumped = self._run("pg_dump", "--schema-only", "--no-owner", "--no-comments", self.url(database)).splitlines()
        return [line for line in dumped if line and not line.startswith(("--", "\\"))]

    def close(self) -> None:
        """End it and delete everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        ran = subprocess.run([self._programs / "pg_isready", "-q", "-h", self.folder], check=False)
        return ran.returncode == 0

    def _wait(self, what: str, condition: Any) -> None:
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until, f"waited in vain until {what}: {(self.folder / 'log').read_text()}"
            time.sleep(0.01)

    def _run(self, program: str, *arguments: str | Path) -> str:
        ran: subprocess.CompletedProcess[str] = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **self._user(),
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def _user(self) -> dict[str, Any]:
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if _is_root() else {}


def _is_root() -> bool:
    return os.geteuid() == 0


def _reachable(folder: Path, copies: Path) -> Path:
    """The programs where nobody can run them: a copy, if they are in somebody's private folder."""
    private = [parent for parent in (folder, *folder.parents) if not parent.stat().st_mode & 0o001]
    if not _is_root() or not private:
        return folder
    copy = copies / "programs"
    shutil.copytree(folder.parent, copy, symlinks=True)
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
    return copy / folder.name


class Database:
    """A PostgreSQL database that all tests of a session share; each takes a project of its own in it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def store(self, project: str | None = None) -> PostgresStore:
        """A store with connections of its own, not opened; of a project that nobody has used unless it is named."""
        return PostgresStore(self.url, project or f"test-{secrets.token_hex(6)}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Database]:
    """The shared database."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield Database(given)
        return
    server = PostgresServer()
    try:
        server.start()
        yield Database(server.url())
    finally:
        server.close()


@pytest.fixture(scope="session")
def _private_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_server(_private_server: PostgresServer) -> Iterator[PostgresServer]:
    """A server that nobody else uses meanwhile, with a new database: stop it, start it, set it as you like."""
    server = _private_server
    server.start()
    server.database = f"test_{secrets.token_hex(6)}"
    server.execute(f"CREATE DATABASE {server.database}", "postgres")
    try:
        yield server
    finally:
        server.start()
        server.execute(f"DROP DATABASE {server.database} WITH (FORCE)", "postgres")
