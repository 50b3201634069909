"""A call between two machines, through `utd serve` on a third, while the network between them gets worse."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import IO, Any

import pytest

from tests.network import Host, Network
from tests.server.serving.process import served_on

from .caller import Role, describe

pytestmark = pytest.mark.alone

Said = dict[str, Any]

_numbers = count(1)

PATIENCE = 40.0
SETTINGS = """
media = "webrtc_p2p"

[project]
app_id = "calls"
key = "key-of-the-calls-1"
secrets = ["secret-of-the-calls"]

[project.flags]
allow_app_key_identity_mint = true
"""


class Caller:
    """A participant on a host. `told`: what it has said, with the time at which it was said."""

    def __init__(self, host: Host, role: Role, stack: ExitStack) -> None:
        self.host = host
        self.told: list[tuple[float, Said]] = []
        self._process = host.start(
            sys.executable, "-m", "tests.webrtc_p2p.caller", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        stack.callback(self._end)
        self._heard = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()
        self._input.write(describe(role))
        self._input.flush()
        self.expect(lambda said: "ready" in said)

    def expect(
        self, wanted: Callable[[dict[str, Any]], bool], *, after: float = 0.0, within: float = PATIENCE
    ) -> float:
        """When it first said such a thing (monotonic seconds)."""
        until = time.monotonic() + within
        with self._heard:
            while True:
                for at, said in self.told:
                    if at >= after and wanted(said):
                        return at
                left = until - time.monotonic()
                assert left > 0, f"never said on {self.host.name}: {self.told[-30:]}"
                assert self._reader.is_alive(), f"{self.host.name} is gone: {self.told[-30:]}"
                self._heard.wait(left)

    def hears(self, *, after: float = 0.0, within: float = PATIENCE) -> float:
        """When it hears the voice, more or less."""
        return self.expect(lambda said: said.get("heard", 0.0) >= 0.5, after=after, within=within)

    def states(self) -> list[str]:
        return [said["state"] for _, said in self.told if "state" in said]

    def hang_up(self) -> None:
        self._input.close()
        self._reader.join(PATIENCE)

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _read(self, output: IO[bytes]) -> None:
        for line in output:
            with self._heard:
                self.told.append((time.monotonic(), json.loads(line)))
                self._heard.notify_all()
        output.close()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._input.close()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Network, str]]:
    """Three machines, and the address of the engine on one of them."""
    folder = tmp_path_factory.mktemp("calls")
    (folder / "utd.toml").write_text(SETTINGS, encoding="utf-8")
    with Network("engine", "left", "right") as network, served_on(network["engine"], folder) as server:
        found = server.wait_for(r"(http://[\d.]+:\d+)")
        yield network, found[1]


@contextmanager
def call(network: tuple[Network, str]) -> Iterator[tuple[Caller, Caller]]:
    """Two who hear each other."""
    wire, url = network
    number = next(_numbers)
    leo, rita = f"leo {number}", f"rita {number}"
    with ExitStack() as stack:
        callee = Caller(wire["right"], Role(url, "calls", "key-of-the-calls-1", rita), stack)
        caller = Caller(wire["left"], Role(url, "calls", "key-of-the-calls-1", leo, rita), stack)
        try:
            caller.hears()
            callee.hears()
            yield caller, callee
        finally:
            for host in (wire["left"], wire["right"]):
                host.degrade()
                host.plug()
            wire.mend("left", "right")


@pytest.mark.parametrize("loss", [0.05, 0.2], ids=["5 percent", "20 percent"])
def test_a_call_goes_on_while_packets_are_lost(network: tuple[Network, str], loss: float) -> None:
    with call(network) as (caller, callee):
        for one in (caller, callee):
            one.host.degrade(loss=loss)
        began = time.monotonic()
        for _ in range(10):
            caller.hears(after=began)
            began = callee.hears(after=began) + 0.3
        assert "reconnecting" not in caller.states() + callee.states()
        caller.hang_up()
        callee.expect(lambda said: said.get("status") == "ended")


def test_a_long_way_is_only_late(network: tuple[Network, str]) -> None:
    with call(network) as (caller, callee):
        for one in (caller, callee):
            one.host.degrade(delay=0.2, jitter=0.02)
        began = time.monotonic()
        for _ in range(10):
            caller.hears(after=began)
            began = callee.hears(after=began) + 0.3
        assert "reconnecting" not in caller.states() + callee.states()


def test_a_blackout_of_two_seconds_is_a_gap(network: tuple[Network, str]) -> None:
    with call(network) as (caller, callee):
        network[0].cut("left", "right")
        time.sleep(2.0)  # the blackout itself, not a wait for anything
        network[0].mend("left", "right")
        mended = time.monotonic()
        for one in (caller, callee):
            assert one.hears(after=mended + 0.3) - mended < 5.0
            assert "reconnecting" not in one.states()


def test_a_dead_way_is_noticed_and_found_again_when_there_is_one(network: tuple[Network, str]) -> None:
    with call(network) as (caller, callee):
        network[0].cut("left", "right")
        began = time.monotonic()
        for one in (caller, callee):
            assert one.expect(lambda said: said.get("state") == "reconnecting", after=began) - began <= 5.5
        network[0].mend("left", "right")
        for one in (caller, callee):
            one.expect(lambda said: said.get("state") == "connected", after=began)
        mended = time.monotonic()
        caller.hears(after=mended)
        callee.hears(after=mended)


def test_who_moves_to_another_address_is_met_there(network: tuple[Network, str]) -> None:
    with call(network) as (caller, callee):
        caller.host.move()
        moved = time.monotonic()
        callee.expect(lambda said: said.get("state") == "reconnecting", after=moved)
        for one in (caller, callee):
            one.expect(lambda said: said.get("state") == "connected", after=moved)
        met = time.monotonic()
        caller.hears(after=met)
        callee.hears(after=met)


def test_a_machine_that_stays_away_ends_the_call_for_the_other_one(network: tuple[Network, str]) -> None:
    with call(network) as (caller, callee):
        caller.host.unplug()
        began = time.monotonic()
        callee.expect(lambda said: said.get("state") == "reconnecting", after=began)
        # The engine keeps a party's place for its return_grace, 20 s, from when it is sure that it is gone.
        ended = callee.expect(lambda said: said.get("status") == "ended", after=began, within=80.0)
        assert ended - began < 60.0
        callee.expect(lambda said: said.get("ended") is not None)
        assert re.match("call_ended", str([said["ended"] for _, said in callee.told if said.get("ended")][-1]))
