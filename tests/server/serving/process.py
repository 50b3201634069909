"""`utd serve` as a process, and what it says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.network import Host

UTD = str(Path(sys.executable).with_name("utd"))
PATIENCE = 60.0
"""Seconds for whatever has to happen in the end, on a machine that is busy."""


class Served:
    """A running `utd serve --dev`. `lines`: its standard output so far; `log`: the objects of its log."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._errors: list[str] = []
        self._told = threading.Condition()
        self._silent = 0
        """How many of its outputs have ended."""
        self._readers = [
            threading.Thread(target=self._read, args=(process.stdout, self.lines)),
            threading.Thread(target=self._read, args=(process.stderr, self._errors)),
        ]
        for reader in self._readers:
            reader.start()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first line of the output, or of the log, that has this in it."""
        until = time.monotonic() + PATIENCE
        with self._told:
            while True:
                for line in (*self.lines, *self._errors):
                    if found := re.search(pattern, line):
                        return found
                left = until - time.monotonic()
                if left <= 0 or self._silent == len(self._readers):
                    raise AssertionError(f"{pattern!r} was never said:\n{self.output}")
                self._told.wait(left)

    @property
    def output(self) -> str:
        return "\n".join((*self.lines, *self._errors))

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._errors]

    @property
    def address(self) -> str:
        return self.wait_for(r"commands +(http://\S+)/api/v1")[1]

    @property
    def headers(self) -> dict[str, str]:
        """Those of the application's server."""
        return {
            "X-App-Id": self.wait_for(r"^ +app id +(\S+)")[1],
            "X-App-Secret": self.wait_for(r"^ +secret +(\S+)")[1],
        }

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return status

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            with self._told:
                lines.append(line.rstrip("\n"))
                self._told.notify_all()
        stream.close()
        with self._told:
            self._silent += 1
            self._told.notify_all()


@contextmanager
def served(folder: Path, *arguments: str, dev: bool = True, **environment: str) -> Iterator[Served]:
    """`utd serve` in a folder, on a free port; killed at the end if it still runs."""
    command = [UTD, "serve", *(["--dev"] if dev else []), "--port", "0", *arguments]
    with _running(command, folder, {**clean_environment(), **environment}) as running:
        yield running


@contextmanager
def served_on(host: Host, folder: Path) -> Iterator[Served]:
    """The same on another host, at its own address."""
    command = host.command(UTD, "serve", "--port", "0", "--host", host.address)
    with _running(command, folder, clean_environment()) as running:
        yield running


@contextmanager
def _running(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Served]:
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    running = Served(process)
    try:
        yield running
    finally:
        process.kill()
        running.wait()


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`utd serve` with these arguments, which ends by itself."""
    return run_utd(folder, "serve", *arguments, **environment)


def run_utd(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`utd` with these arguments, which ends by itself."""
    return subprocess.run(
        [UTD, *arguments],
        cwd=folder,
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def clean_environment() -> dict[str, str]:
    """This environment without settings of utd."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("UTD_", "OTEL_"))}
