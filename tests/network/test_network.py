"""What the other tests rely on."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from . import Host, Network

SERVER = "import socket; s = socket.create_server(('0.0.0.0', 7)); print('ready', flush=True)\nwhile True: s.accept()"
CLIENT = "import socket, sys; socket.create_connection((sys.argv[1], 7), timeout=float(sys.argv[2])); print('reached')"
ROUND_TRIP = (
    "import socket, sys, time; began = time.monotonic(); socket.create_connection((sys.argv[1], 7), timeout=5);"
    " print(time.monotonic() - began)"
)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network("left", "right", "third") as network:
        server = network["right"].start(sys.executable, "-c", SERVER, stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield network
        finally:
            server.kill()
            server.communicate()


def said(host: Host, program: str, *arguments: str) -> str:
    command = host.command(sys.executable, "-c", program, *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def reached(host: Host, other: Host, patience: float = 0.3) -> str:
    return said(host, CLIENT, other.address, str(patience))


def test_hosts_reach_each_other_and_not_this_machine(network: Network) -> None:
    assert reached(network["left"], network["right"]) == "reached"
    with socket.create_server(("127.0.0.1", 0)) as here:
        port = str(here.getsockname()[1])
        assert "refused" in said(network["left"], CLIENT.replace("7", port), "127.0.0.1", "0.3")


def test_what_is_cut_is_silent_for_those_two_alone(network: Network) -> None:
    network.cut("left", "right")
    assert re.match(r"TimeoutError", reached(network["left"], network["right"]))
    assert reached(network["third"], network["right"]) == "reached"
    network.mend("left", "right")
    network.mend("left", "right")
    assert reached(network["left"], network["right"]) == "reached"


def test_a_cable_can_be_pulled_and_put_back(network: Network) -> None:
    network["left"].unplug()
    assert reached(network["left"], network["right"]) != "reached"
    network["left"].plug()
    assert reached(network["left"], network["right"], 5.0) == "reached"


def test_delay_is_delay_and_loss_is_loss(network: Network) -> None:
    left, right = network["left"], network["right"]
    left.degrade(delay=0.1)
    assert float(said(left, ROUND_TRIP, right.address)) >= 0.1
    left.degrade(loss=1.0)
    assert reached(left, right) != "reached"
    left.degrade()
    assert reached(left, right) == "reached"


def test_a_host_can_move_to_another_address_and_back(network: Network) -> None:
    left, right = network["left"], network["right"]
    before = left.address
    left.move()
    assert left.address != before
    assert reached(left, right) == "reached"
    left.move()
    assert left.address == before
    assert reached(left, right) == "reached"
