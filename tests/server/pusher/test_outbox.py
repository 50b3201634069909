"""What one client is sent: at once, in order, bounded when it does not read, and nothing after the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from utd_core.concurrency import TaskScope
from utd_core.server.pusher import CloseCode, PusherSettings
from utd_core.server.pusher.frames import Frame
from utd_core.server.pusher.outbox import Outbox
from utd_core.testing.wait import eventually


class Client:
    """Takes messages as a server's `send` does: without a wait, or not before `reads` is set."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.turns = 0
        self.error: Exception | None = None

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.taken.append(message.get("text") or message["code"])


class FullWire:
    """A wire that can take `room` more frames."""

    def __init__(self, client: Client, room: int) -> None:
        self.client = client
        self.room = room
        self.aborted = False

    def write(self, frame: bytes) -> bool:
        if not self.room:
            return False
        self.room -= 1
        self.client.taken.append(frame[2:].decode())
        return True

    def unblock(self) -> None:
        self.client.reads.set()

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
async def scope() -> AsyncIterator[TaskScope]:
    scope = TaskScope("test")
    await scope.open()
    yield scope
    await scope.aclose()


@pytest.fixture
def client() -> Client:
    return Client()


def outbox_of(
    client: Client, scope: TaskScope, wire: FullWire | None = None, **settings: Any
) -> tuple[Outbox, list[int]]:
    ends: list[int] = []
    return Outbox(client.send, wire, scope, PusherSettings(**settings), ends.append), ends


def frames(count: int) -> list[Frame]:
    return [Frame(str(number)) for number in range(count)]


async def test_what_can_be_sent_is_sent_at_once(client: Client, scope: TaskScope) -> None:
    outbox, _ = outbox_of(client, scope)
    for frame in frames(3):
        outbox.push(frame)
    assert client.taken == ["0", "1", "2"], "no other task has had a turn"


async def test_what_has_to_wait_comes_in_order(client: Client, scope: TaskScope) -> None:
    outbox, _ = outbox_of(client, scope)
    client.turns = 3
    sent = frames(20)
    for number, frame in enumerate(sent):
        outbox.push(frame)
        if number % 3 == 0:
            await asyncio.sleep(0)
    await eventually(lambda: len(client.taken) == 20)
    client.turns = 0
    outbox.push(Frame("20"))
    assert client.taken == [str(number) for number in range(21)]
    assert outbox.waiting == 0


async def test_what_the_wire_does_not_take_goes_through_the_server(client: Client, scope: TaskScope) -> None:
    wire = FullWire(client, room=2)
    outbox, _ = outbox_of(client, scope, wire)
    for frame in frames(4):
        outbox.push(frame)
    assert client.taken == ["0", "1", "2", "3"]


async def test_what_the_wire_takes_again_does_not_overtake_what_waits(client: Client, scope: TaskScope) -> None:
    wire = FullWire(client, room=0)
    outbox, _ = outbox_of(client, scope, wire)
    client.reads.clear()
    outbox.push(Frame("0"))
    wire.room = 10
    outbox.push(Frame("1"))
    assert client.taken == []
    client.reads.set()
    await eventually(lambda: client.taken == ["0", "1"])
    outbox.push(Frame("2"))
    assert client.taken == ["0", "1", "2"]


@pytest.mark.parametrize("settings", [{"queue_frames": 5}, {"queue_bytes": 5 * len(Frame("0").raw)}])
async def test_a_client_that_does_not_read_is_cut_off_and_not_waited_for(
    client: Client, scope: TaskScope, settings: Any
) -> None:
    outbox, ends = outbox_of(client, scope, **settings)
    client.reads.clear()
    for _ in range(6):
        outbox.push(Frame("0"))
    assert ends == []
    outbox.push(Frame("0"))
    assert ends == [CloseCode.TOO_SLOW]
    assert not outbox.is_open
    assert outbox.waiting == 0
    client.reads.set()
    await eventually(lambda: len(client.taken) == 2)
    assert client.taken == ["0", CloseCode.TOO_SLOW], "what it was being sent, and why it ends"


async def test_a_wire_lets_the_code_through_to_a_client_that_does_not_read(client: Client, scope: TaskScope) -> None:
    outbox, _ = outbox_of(client, scope, FullWire(client, room=0), queue_frames=1)
    client.reads.clear()
    for frame in frames(3):
        outbox.push(frame)
    await eventually(lambda: client.taken == ["0", CloseCode.TOO_SLOW])


async def test_closing_comes_after_what_was_pushed_and_nothing_after_it(client: Client, scope: TaskScope) -> None:
    outbox, ends = outbox_of(client, scope)
    client.reads.clear()
    for frame in frames(3):
        outbox.push(frame)
    outbox.close(4200, "over")
    outbox.close(4201, "again")
    outbox.cut_off(4101, "and again")
    outbox.push(Frame("late"))
    client.reads.set()
    await eventually(lambda: client.taken == ["0", "1", "2", 4200])
    outbox.push(Frame("later"))
    await asyncio.sleep(0)
    assert client.taken == ["0", "1", "2", 4200]
    assert ends == [4200]


async def test_closing_is_at_once_where_nothing_waits(client: Client, scope: TaskScope) -> None:
    outbox, _ = outbox_of(client, scope)
    outbox.close(4200, "over")
    assert client.taken == [4200]


@pytest.mark.parametrize("waits", [False, True])
async def test_a_client_that_is_gone_ends_it(client: Client, scope: TaskScope, waits: bool) -> None:
    outbox, ends = outbox_of(client, scope)
    client.error = OSError("gone")
    if waits:
        client.reads.clear()
    for frame in frames(3):
        outbox.push(frame)
    client.reads.set()
    await eventually(lambda: not outbox.is_open)
    assert ends == [1006]
    assert outbox.waiting == 0
    assert client.taken == []


@pytest.mark.parametrize("wired", [False, True])
async def test_aborting_ends_what_waits(client: Client, scope: TaskScope, wired: bool) -> None:
    wire = FullWire(client, room=0) if wired else None
    outbox, ends = outbox_of(client, scope, wire)
    client.reads.clear()
    for frame in frames(3):
        outbox.push(frame)
    outbox.abort()
    outbox.abort()
    assert ends == [1006]
    assert wire is None or wire.aborted
    await asyncio.sleep(0)
    client.reads.set()
    await asyncio.sleep(0)
    assert client.taken == []


async def test_a_slow_client_when_the_scope_is_over_is_given_up(client: Client, scope: TaskScope) -> None:
    outbox, ends = outbox_of(client, scope)
    await scope.aclose()
    client.reads.clear()
    outbox.push(Frame("0"))
    assert ends == [1006]


async def test_the_rest_of_a_send_is_cancelled_with_its_task(client: Client, scope: TaskScope) -> None:
    outbox, _ = outbox_of(client, scope)
    client.reads.clear()
    cancelled = False

    async def send(message: Message) -> None:
        nonlocal cancelled
        try:
            await client.reads.wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    outbox._send = send
    outbox.push(Frame("0"))
    await asyncio.sleep(0)
    await scope.aclose()
    assert cancelled


async def test_a_send_that_yields_without_a_future_is_carried_on(client: Client, scope: TaskScope) -> None:
    outbox, _ = outbox_of(client, scope)
    client.turns = 1
    outbox.push(Frame("0"))
    assert client.taken == []
    await eventually(lambda: client.taken == ["0"])


def test_a_frame_is_a_text_message_of_a_server() -> None:
    for size, head in (
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ):
        assert Frame("x" * size).raw == head + b"x" * size
    assert Frame("é").raw == b"\x81\x02\xc3\xa9"


async def test_a_reason_is_cut_to_what_a_close_frame_holds(client: Client, scope: TaskScope) -> None:
    reasons = []

    async def send(message: Message) -> None:
        reasons.append(message["reason"])

    outbox, _ = outbox_of(client, scope)
    outbox._send = send
    outbox.close(4200, "é" * 100)
    assert reasons == ["é" * 61]


async def test_a_wire_that_fails_is_this_clients_end_and_no_other(client: Client, scope: TaskScope) -> None:
    class Broken(FullWire):
        def write(self, frame: bytes) -> bool:
            raise RuntimeError("the handler is closed")

    outbox, ends = outbox_of(client, scope, Broken(client, 0))
    outbox.push(Frame("0"))
    assert ends == [1006]
