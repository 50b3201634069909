"""The process that keeps a host: it makes the namespace and its device, and carries the host's packets to the others.

A namespace lives as long as a process is in it, and only a process of a single thread may enter a user namespace; so
each host has a process of its own. It is told what to do by one JSON object a line, answers with one, and ends when
nobody can tell it anything any more. Keepers hand each other packets over Unix sockets that are named after addresses.

    python -m tests.network.keeper FOLDER ADDRESS SEED [PID]      in the user namespace of process PID
"""

from __future__ import annotations

import heapq
import json
import os
import random
import socket
import sys
import time
from pathlib import Path
from select import select

from .device import MTU, Device
from .namespaces import NEW_NET, become_root, call, enter

WAITING = 4_096
"""Packets that wait at most to be taken in by a host; those that come then are lost."""


class Keeper:
    """One host's end of the wire."""

    def __init__(self, folder: Path, address: str, seed: str) -> None:
        self.device = Device(address)
        Path("/proc/sys/net/unix/max_dgram_qlen").write_text(str(WAITING))
        self._folder = folder
        self._chance = random.Random(seed)
        self._listen(address)
        self._plugged = True
        self._cut: set[str] = set()
        self._loss = self._delay = self._jitter = 0.0
        self._under_way: list[tuple[float, int, bytes]] = []
        self._sent = 0

    def degrade(self, loss: float, delay: float, jitter: float) -> None:
        self._loss, self._delay, self._jitter = loss, delay, jitter

    def plug(self, plugged: bool) -> None:
        self._plugged = plugged

    def cut(self, address: str) -> None:
        """Drop what is for another host, under whatever address it has."""
        self._cut.add(_house(address))

    def mend(self, address: str) -> None:
        self._cut.discard(_house(address))

    def move(self, address: str) -> None:
        self.device.move(address)
        self._wire.close()
        self._listen(address)

    def run(self) -> None:
        """Carry packets, and do what is told, until the end of what can be told."""
        told = b""
        while True:
            now = time.monotonic()
            while self._under_way and self._under_way[0][0] <= now:
                self._carry(heapq.heappop(self._under_way)[2])
            patience = self._under_way[0][0] - now if self._under_way else None
            wire = self._wire.fileno()
            ready, _, _ = select([0, self.device.file, wire], [], [], patience)
            if self.device.file in ready:
                self._send(os.read(self.device.file, MTU))
            if wire in ready:
                self._take_in(self._wire.recv(MTU))
            if 0 in ready:
                more = os.read(0, 65_536)
                if not more:
                    return
                *lines, told = (told + more).split(b"\n")
                for line in lines:
                    self._do(line)

    def _do(self, line: bytes) -> None:
        what = json.loads(line)
        try:
            getattr(self, what["do"])(*what["with"])
        except OSError as error:
            answer(failed=repr(error))
        else:
            answer(done=True)

    def _send(self, packet: bytes) -> None:
        if packet[0] >> 4 != 4 or self._chance.random() < self._loss:
            return
        if not self._delay and not self._jitter:
            self._carry(packet)
            return
        self._sent += 1
        due = time.monotonic() + self._delay + self._jitter * self._chance.uniform(-1, 1)
        heapq.heappush(self._under_way, (due, self._sent, packet))

    def _carry(self, packet: bytes) -> None:
        target = socket.inet_ntoa(packet[16:20])
        if not self._plugged or _house(target) in self._cut:
            return
        try:
            self._wire.sendto(packet, str(self._folder / target))
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
            # Nobody has that address, or who has it takes in no more: a network says nothing either.
            return

    def _take_in(self, packet: bytes) -> None:
        if self._plugged:
            os.write(self.device.file, packet)

    def _listen(self, address: str) -> None:
        place = self._folder / address
        place.unlink(missing_ok=True)
        self._wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._wire.bind(str(place))


def _house(address: str) -> str:
    """What all addresses of a host have in common."""
    return address.rpartition(".")[0]


def answer(**said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main(folder: str, address: str, seed: str, pid: str | None = None) -> None:
    try:
        if pid is not None:
            enter(int(pid))
        elif os.geteuid() != 0:
            become_root()
        call("unshare", NEW_NET)
        keeper = Keeper(Path(folder), address, seed)
    except OSError as error:
        answer(refused=str(error))
        return
    answer(done=True)
    keeper.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
