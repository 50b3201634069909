"""Calls one after the other leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import pytest

from soaks.watch import resident
from tests.coturn import TurnServer, turn_server  # noqa: F401  # a fixture
from utd_core.errors import DeadlineExceeded
from utd_core.media.backend import ConnectOptions
from utd_core.testing.leaks import Snapshot, leaks_since
from utd_webrtc_p2p.gathering import FAREWELL

from .world import CAMERA, HUM, MICROPHONE, Stage, stage

pytestmark = pytest.mark.heavy

CALLS, WARM_UP = 200, 40
MOST_GROWTH = 50_000
"""Bytes of memory per call; a peer connection that is kept has ten times that."""
AT_ONCE = 2.5
"""Seconds that a busy machine takes for what takes a tenth of one."""


async def call(here: Stage, number: int) -> None:
    room = f"call-{number}"
    await here.backend.control.create_room(room)
    ann, bob = await here.join("ann", room=room), await here.join("bob", room=room)
    voice = await ann.publish(MICROPHONE)
    await bob.publish(CAMERA, width=160, height=120)
    frames = bob.collect(await bob.reads(voice))
    for frame in cycle(HUM):
        await voice.write(frame)
        await here.backend.clock.sleep(0.02)
        if frames:
            break
    await here.backend.control.close_room(room)
    for person in (ann, bob):
        await person.connection.aclose()


async def test_closing_while_addresses_are_gathered_leaves_no_socket() -> None:
    for milliseconds in range(1, 40):
        before = Snapshot.take()
        async with stage() as here:
            await here.line("silent")
            with pytest.raises(DeadlineExceeded):
                await here.join("ann", options=ConnectOptions(deadline=milliseconds / 1_000))
        assert await leaks_since(before) == [], f"a deadline of {milliseconds} ms left sockets"


@contextmanager
def silent_server(kind: socket.SocketKind) -> Iterator[int]:
    """A port where everything is taken, and nothing is answered."""
    with socket.socket(socket.AF_INET, kind) as silent:
        silent.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            silent.listen()
        yield silent.getsockname()[1]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (socket.SOCK_DGRAM, {"stun_urls": ["stun:127.0.0.1:{port}"]}),
        (socket.SOCK_DGRAM, {"turn_urls": ["turn:127.0.0.1:{port}?transport=udp"], "turn_secret": "any"}),
        (socket.SOCK_STREAM, {"turn_urls": ["turn:127.0.0.1:{port}?transport=tcp"], "turn_secret": "any"}),
    ],
    ids=["stun", "turn-udp", "turn-tcp"],
)
async def test_closing_waits_for_no_ice_server_that_is_silent(
    kind: socket.SocketKind, settings: dict[str, Any]
) -> None:
    """aioice waits for 5 s; where this fails with them, a release of it asks in another way (see `gathering.py`)."""
    with silent_server(kind) as port:
        given: dict[str, Any] = {
            name: [url.format(port=port) for url in value] if isinstance(value, list) else value
            for name, value in settings.items()
        }
        before = Snapshot.take()
        async with stage(**given) as here:
            await here.line("silent")
            with pytest.raises(DeadlineExceeded):
                await here.join("ann", options=ConnectOptions(deadline=0.5))
            closing = here.backend.clock.monotonic()
        assert here.backend.clock.monotonic() - closing < AT_ONCE
        assert await leaks_since(before) == []


async def test_closing_waits_for_no_relay_that_has_gone_away(turn_server: TurnServer) -> None:  # noqa: F811
    before = Snapshot.take()
    given: dict[str, Any] = {
        "turn_urls": (turn_server.url("udp"),),
        "turn_secret": turn_server.secret,
        "relay_only": True,
    }
    async with stage(**given) as here:
        await here.join("ann"), await here.join("bob")
        await asyncio.to_thread(turn_server.stop)
        closing = here.backend.clock.monotonic()
    assert here.backend.clock.monotonic() - closing < FAREWELL + AT_ONCE
    assert await leaks_since(before) == []


async def test_two_hundred_calls_leave_no_task_thread_descriptor_or_memory() -> None:
    async with stage() as here:
        for number in range(WARM_UP):
            await call(here, number)
        gc.collect()
        before, threads, size = Snapshot.take(), threading.active_count(), resident()
        for number in range(WARM_UP, CALLS):
            await call(here, number)
        gc.collect()
        assert await leaks_since(before) == []
        assert threading.active_count() <= threads + 4, "the loop's own pool may still have grown a little"
        assert (resident() - size) / (CALLS - WARM_UP) < MOST_GROWTH
