"""The way of media that can be bad, with a server that only counts; no LiveKit server needed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_core.testing.leaks import Snapshot
from utd_core.testing.wait import eventually
from utd_livekit.server.diversion import Diversion
from utd_livekit.server.line import LOOPBACK, Line
from utd_livekit.server.local import free_port

MEDIA, DATA = b"\x80", b"\x17"
"""What a packet begins with."""
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
TOLD, INSTEAD = b"1 udp 2130706431 127.0.0.1 40123 typ host", b"1 udp 2130706431 127.0.0.1 50456 typ host"


class End(asyncio.DatagramProtocol):
    """Keeps what it hears, and from where."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.callers: dict[Any, None] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.append(data)
        self.callers[addr] = None

    @property
    def port(self) -> int:
        port: int = self.transport.get_extra_info("sockname")[1]
        return port

    async def hears(self, *packets: bytes) -> None:
        await eventually(lambda: len(self.heard) >= len(packets), what=f"{len(packets)} packets")
        assert self.heard == list(packets)
        self.heard.clear()


class World:
    """A server, a participant and the line between them."""

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        _, self.server = await loop.create_datagram_endpoint(End, (LOOPBACK, 0))
        self.line = Line(self.server.port)
        self.line.open()
        self.near = (LOOPBACK, self.line.near_port)
        self.participant = await self.join()

    async def join(self) -> End:
        _, end = await asyncio.get_running_loop().create_datagram_endpoint(End, remote_addr=self.near)
        return end

    async def greet(self, participant: End) -> Any:
        """The address at which the server hears them."""
        participant.transport.sendto(DATA)
        await self.server.hears(DATA)
        return list(self.server.callers)[-1]

    async def say(self, packets: Sequence[bytes]) -> None:
        """To the participant, who has greeted."""
        for packet in packets:
            self.server.transport.sendto(packet, next(iter(self.server.callers)))
            await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.open()
    yield world
    world.participant.transport.close()
    world.server.transport.close()
    await world.line.aclose()


def media(*numbers: int) -> list[bytes]:
    return [MEDIA + bytes([number]) for number in numbers]


async def test_everything_goes_both_ways_and_participants_are_told_apart(world: World) -> None:
    other = await world.join()
    here, there = await world.greet(world.participant), await world.greet(other)
    assert here != there
    world.server.transport.sendto(b"\x16 for you", here)
    world.server.transport.sendto(MEDIA, there)
    await world.participant.hears(b"\x16 for you")
    await other.hears(MEDIA)
    other.transport.close()


async def test_what_is_lost_is_media_in_both_directions_and_nothing_else(world: World) -> None:
    await world.greet(world.participant)
    world.line.loss = 1.0
    await world.say([*media(1, 2), DATA])
    await world.participant.hears(DATA)
    for packet in (*media(1, 2), DATA):
        world.participant.transport.sendto(packet)
    await world.server.hears(DATA)
    world.line.loss = 0.0
    await world.say(media(3))
    await world.participant.hears(*media(3))


async def test_some_are_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utd_livekit.server.line.random", random.Random(1))
    await world.greet(world.participant)
    world.line.loss = 0.5
    await world.say(media(*range(200)))
    await world.say([DATA])
    await eventually(lambda: DATA in world.participant.heard)
    assert 70 < len(world.participant.heard) < 130
    assert world.participant.heard == [*sorted(world.participant.heard[:-1]), DATA]


async def test_under_jitter_all_come_and_in_order(world: World) -> None:
    await world.greet(world.participant)
    world.line.jitter = 0.2
    began = asyncio.get_running_loop().time()
    await world.say(media(*range(50)))
    await world.participant.hears(*media(*range(50)))
    # The longest of fifty delays; all of them under a quarter of the longest there is happens to nobody.
    assert asyncio.get_running_loop().time() - began > 0.05


async def test_data_does_not_wait_for_what_is_late(world: World) -> None:
    await world.greet(world.participant)
    world.line.burst = 3_600.0
    await world.say([*media(1), DATA])
    await world.participant.hears(DATA)


async def test_what_follows_the_end_of_a_fault_does_not_pass_what_is_late(world: World) -> None:
    await world.greet(world.participant)
    world.line.burst = 0.2
    await world.say(media(1))
    await eventually(lambda: world.line.keeps, what="a packet that is late")
    world.line.burst = 0.0
    await world.say(media(2))
    await world.participant.hears(*media(1, 2))


async def test_a_burst_comes_at_once_and_not_before_its_time(world: World) -> None:
    await world.greet(world.participant)
    world.line.burst = 0.3
    began = asyncio.get_running_loop().time()
    await world.say(media(1, 2))
    await world.participant.hears(*media(1, 2))
    assert asyncio.get_running_loop().time() - began >= 0.3


async def test_an_address_from_where_nothing_comes_any_more_is_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("utd_livekit.server.line._FORGOTTEN", 0.05)
    before, other = Snapshot.take(), await world.join()
    await world.greet(other)
    other.transport.close()

    async def is_forgotten() -> bool:
        world.participant.transport.sendto(DATA)
        # One more than before: the way of who is still there.
        return len(Snapshot.take().leaked_since(before)) == 1

    await eventually(is_forgotten, what="the end of a way")


async def test_a_server_that_is_gone_is_heard_again_when_it_is_back(world: World) -> None:
    await world.greet(world.participant)
    port = world.server.port
    world.server.transport.close()
    await asyncio.sleep(0)
    for _ in range(3):
        world.participant.transport.sendto(DATA)
        await asyncio.sleep(0)
    _, world.server = await asyncio.get_running_loop().create_datagram_endpoint(End, (LOOPBACK, port))
    world.participant.transport.sendto(b"\x17 again")
    await eventually(lambda: b"\x17 again" in world.server.heard, what="the participant")


async def test_a_line_that_was_never_opened_is_closed() -> None:
    await Line(free_port()).aclose()


def line() -> Line:
    """As if it were open."""
    made = Line(40_123)
    made.near_port = 50_456
    return made


def frame(payload: bytes) -> bytes:
    """As servers send them: not masked."""
    size = len(payload)
    if size < 126:
        return bytes([0x82, size]) + payload
    if size < 65_536:
        return b"\x82\x7e" + size.to_bytes(2) + payload
    return b"\x82\x7f" + size.to_bytes(8) + payload


@given(
    st.lists(st.tuples(st.integers(0, 300) | st.sampled_from([65_535, 70_000]), st.booleans()), max_size=6),
    st.randoms(use_true_random=False),
)
def test_the_address_is_another_one_wherever_it_is_cut_in_two(
    sizes: list[tuple[int, bool]], chance: random.Random
) -> None:
    messages = [bytes(size) + (TOLD if names else b"") + bytes(3) for size, names in sizes]
    said = HEAD + b"".join(map(frame, messages))
    diversion, heard = Diversion(line()), b""
    while said:
        cut = chance.choice([1, 7, 100, 70_000])
        heard += diversion.of(said[:cut])
        said = said[cut:]
    assert heard == HEAD + b"".join(frame(message.replace(TOLD, INSTEAD)) for message in messages)


def test_what_is_not_whole_yet_is_not_said() -> None:
    diversion = Diversion(line())
    whole = frame(TOLD)
    assert diversion.of(HEAD[:-1]) == b""
    assert diversion.of(HEAD[-1:] + whole[:-1]) == HEAD
    assert diversion.of(whole[-1:] + whole[:1]) == frame(INSTEAD)
