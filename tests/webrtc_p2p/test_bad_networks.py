"""A call between two machines, through `utd serve` on a third, while the network between them gets worse."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

import pytest

from tests.network import Host, Network
from tests.server.serving.process import served_on

from .caller import Role, describe

pytestmark = pytest.mark.heavy

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

IMPATIENT = """
[media_settings]
recovery_timeout = 6.0

[engine]
return_grace = 3.0
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

    def has_reconnected(self, *, after: float) -> bool:
        return any(said.get("state") == "reconnecting" for at, said in self.told if at >= after)

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
        caller.hears()
        callee.hears()
        yield caller, callee


@pytest.fixture(scope="module")
def long_call(network: tuple[Network, str]) -> Iterator[tuple[Caller, Caller]]:
    """One call for all that a call outlives."""
    with call(network) as both:
        yield both


@pytest.fixture
def both(network: tuple[Network, str], long_call: tuple[Caller, Caller]) -> Iterator[tuple[Caller, Caller]]:
    """The two of the long call, who hear each other; the network is good again afterwards."""
    now = time.monotonic()
    for one in long_call:
        one.hears(after=now)
    yield long_call
    for one in long_call:
        one.host.degrade()
        one.host.plug()
    network[0].mend("left", "right")


def hear_each_other_for(rounds: int, both: tuple[Caller, Caller]) -> None:
    after = time.monotonic()
    for _ in range(rounds):
        after = max(one.hears(after=after) for one in both) + 0.3


@pytest.mark.parametrize("loss", [0.05, 0.2], ids=["5 percent", "20 percent"])
def test_a_call_goes_on_while_packets_are_lost(both: tuple[Caller, Caller], loss: float) -> None:
    began = time.monotonic()
    for one in both:
        one.host.degrade(loss=loss)
    hear_each_other_for(10, both)
    assert not any(one.has_reconnected(after=began) for one in both)


def test_a_long_way_is_only_late(both: tuple[Caller, Caller]) -> None:
    began = time.monotonic()
    for one in both:
        one.host.degrade(delay=0.2)
    hear_each_other_for(10, both)
    assert not any(one.has_reconnected(after=began) for one in both)


def test_a_blackout_of_two_seconds_is_a_gap(network: tuple[Network, str], both: tuple[Caller, Caller]) -> None:
    began = time.monotonic()
    network[0].cut("left", "right")
    time.sleep(2.0)  # the blackout itself, not a wait for anything
    network[0].mend("left", "right")
    mended = time.monotonic()
    for one in both:
        assert one.hears(after=mended + 0.3) - mended < 5.0
        assert not one.has_reconnected(after=began)


def test_a_dead_way_is_noticed_and_found_again_when_there_is_one(
    network: tuple[Network, str], both: tuple[Caller, Caller]
) -> None:
    began = time.monotonic()
    network[0].cut("left", "right")
    for one in both:
        assert one.expect(lambda said: said.get("state") == "reconnecting", after=began) - began <= 5.5
    network[0].mend("left", "right")
    hear_again(both, began)


def test_who_moves_to_another_address_is_met_there(both: tuple[Caller, Caller]) -> None:
    began = time.monotonic()
    both[0].host.move()
    both[1].expect(lambda said: said.get("state") == "reconnecting", after=began)
    hear_again(both, began)


def hear_again(both: tuple[Caller, Caller], began: float) -> None:
    for one in both:
        one.expect(lambda said: said.get("state") == "connected", after=began)
    connected = time.monotonic()
    for one in both:
        one.hears(after=connected)


def test_a_machine_that_stays_away_ends_the_call_for_the_other_one(
    network: tuple[Network, str], tmp_path: Path
) -> None:
    """On a server that waits for less long than the documented 30 and 20 s: the times add up, whatever they are."""
    (tmp_path / "utd.toml").write_text(SETTINGS + IMPATIENT, encoding="utf-8")
    with (
        served_on(network[0]["engine"], tmp_path) as server,
        call((network[0], server.wait_for(r"(http://[\d.]+:\d+)")[1])) as (caller, callee),
    ):
        caller.host.unplug()
        began = time.monotonic()
        callee.expect(lambda said: said.get("state") == "reconnecting", after=began)
        # The engine keeps a party's place for its return_grace from when it is sure that it is gone.
        ended = callee.expect(lambda said: said.get("status") == "ended", after=began, within=60.0)
        assert ended - began < 40.0
        callee.expect(lambda said: said.get("ended") == "call_ended", after=began)
        caller.host.plug()
