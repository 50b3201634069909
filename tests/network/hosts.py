from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import Any, Self

PATIENCE = 10.0
"""Seconds that a host may take to end."""


class NotAllowed(Exception):
    """This machine lets nobody make such a network; the text says what to allow."""


class Host:
    """A machine of its own, as far as the network goes. `address`: IPv4."""

    def __init__(self, name: str, number: int, folder: Path, root: Host | None) -> None:
        self.name = name
        self._addresses = [f"10.77.{number}.2", f"10.77.{number}.3"]
        inside = [] if root is None else [str(root.pid)]
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.keeper", str(folder), self.address, name, *inside],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid: int = self._keeper.pid

    @property
    def address(self) -> str:
        return self._addresses[0]

    def command(self, *command: str) -> list[str]:
        """The command that does the same on this host."""
        return [sys.executable, "-m", f"{__package__}.enter", str(self.pid), *command]

    def start(self, *command: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a program here; `options` are those of `Popen`. Whoever starts it ends it."""
        return subprocess.Popen(self.command(*command), **options)

    def degrade(self, *, loss: float = 0.0, delay: float = 0.0, jitter: float = 0.0) -> None:
        """From now on what this host sends is lost (0 to 1) and delayed (seconds); no arguments: not any more."""
        self.tell("degrade", loss, delay, jitter)

    def unplug(self) -> None:
        """From now on nothing comes in or goes out, and nobody is told."""
        self.tell("plug", False)

    def plug(self) -> None:
        """The opposite. Idempotent."""
        self.tell("plug", True)

    def move(self) -> None:
        """Leave the address for another one, as a telephone does that leaves the house."""
        self._addresses.reverse()
        self.tell("move", self.address)

    def tell(self, do: str, *arguments: object) -> None:
        """Have the host's keeper do something. Raises `RuntimeError` where it fails."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(json.dumps({"do": do, "with": arguments}) + "\n")
        self._keeper.stdin.flush()
        self.hear()

    def hear(self) -> None:
        """Wait until the keeper is ready for more. Raises `NotAllowed`, `RuntimeError`."""
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        answer: Mapping[str, object] = json.loads(line) if line else {"failed": "its process has ended"}
        if "refused" in answer:
            raise NotAllowed(
                f"no host can be made: {answer['refused']}. These tests need to read and write /dev/net/tun, and root"
                " with CAP_SYS_ADMIN and CAP_NET_ADMIN, or unprivileged user namespaces"
                " (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"
            )
        if "failed" in answer:
            raise RuntimeError(f"the host {self.name}: {answer['failed']}")

    def close(self) -> None:
        """End it. Programs that still run on it lose their wire. Idempotent."""
        for pipe in (self._keeper.stdin, self._keeper.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._keeper.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait(PATIENCE)


class Network:
    """Hosts on one wire. Raises `NotAllowed`."""

    def __init__(self, *names: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="utd-network-"))
        self._hosts: dict[str, Host] = {}
        try:
            # Who is not root is so in the user namespace of the first host, which the others enter when it is there.
            first, *others = names
            root = self._hosts[first] = Host(first, 1, self._folder, None)
            root.hear()
            for number, name in enumerate(others, 2):
                self._hosts[name] = Host(name, number, self._folder, root)
            for name in others:
                self._hosts[name].hear()
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cut(self, *names: str) -> None:
        """From now on nothing passes between any two of these hosts, and nobody is told."""
        self._between("cut", names)

    def mend(self, *names: str) -> None:
        """The opposite. Idempotent."""
        self._between("mend", names)

    def close(self) -> None:
        """End all hosts. Idempotent."""
        for host in self._hosts.values():
            host.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _between(self, do: str, names: tuple[str, ...]) -> None:
        for one, other in permutations(names, 2):
            self._hosts[one].tell(do, self._hosts[other].address)
