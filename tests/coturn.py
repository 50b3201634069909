"""A real TURN server for tests, coturn, on free ports of loopback: the `turnserver` on PATH, or that of Debian's
package `coturn`, which `scripts/debian_packages.py` unpacks without installing it. It ends with the tests.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.readiness import until_ready
from tests.redis import free_port

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
CONFIGURATION = (
    "min-port=20000",
    "max-port=29999",
    "realm=test",
    "fingerprint",
    "use-auth-secret",
    # Both participants of a test are on loopback, where a server in the open must not relay to.
    "allow-loopback-peers",
    "no-cli",
    "no-tls",
    "no-dtls",
)
PATIENCE = 20.0
"""Seconds that the server may take to start or to stop."""


class TurnServer:
    """A server of one's own. Addresses, ports, files and the secret of its configuration become those of a test."""

    def __init__(self, program: str, configuration: Sequence[str]) -> None:
        self.secret = secrets.token_hex(16)
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="utd-coturn-"))
        self._program = program
        self._configuration = configuration
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, transport: str = "udp") -> str:
        return f"turn:{HOST}:{self.port}?transport={transport}"

    def start(self) -> None:
        """Start, and return when it listens. Idempotent."""
        if self._process is not None:
            return
        configuration = self.folder / "turnserver.conf"
        configuration.write_text(self._configuration_of_this_test(), encoding="utf-8")
        self._process = subprocess.Popen(
            [self._program, "-c", configuration],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until_ready(self._process, self._listens, self.log, patience=PATIENCE)

    def stop(self) -> None:
        """Kill it. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(PATIENCE)

    def close(self) -> None:
        """End it and delete everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What it has written about itself."""
        file = self.folder / "log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def _configuration_of_this_test(self) -> str:
        ours = {
            "listening-ip": HOST,
            "relay-ip": HOST,
            "listening-port": self.port,
            "static-auth-secret": self.secret,
            "simple-log": None,
            "log-file": str(self.folder / "log"),
            "pidfile": str(self.folder / "pid"),
            "userdb": str(self.folder / "db"),
        }
        theirs = [line for line in self._configuration if line.partition("=")[0] not in ours]
        return "\n".join([*theirs, *(name if value is None else f"{name}={value}" for name, value in ours.items()), ""])

    def _listens(self) -> bool:
        # Its sockets for UDP are there before the one for TCP.
        with socket.socket() as probe:
            return probe.connect_ex((HOST, int(self.port))) == 0


@pytest.fixture(scope="session")
def turn_server() -> Iterator[TurnServer]:
    """One coturn for all tests of a session."""
    server = TurnServer(find_program(), CONFIGURATION)
    try:
        server.start()
        yield server
    finally:
        server.close()


def find_program() -> str:
    """Where coturn is; brought if need be."""
    script = ROOT / "scripts/debian_packages.py"
    command = [sys.executable, str(script), "coturn", "turnserver"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
