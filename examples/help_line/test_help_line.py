"""The help line, tested offline: no server, no network, and 90 seconds of ringing in milliseconds.

    pytest examples/help_line

`utd_client`, `utd_clock` and `utd_faults` are fixtures that utd-core brings. They share one engine on the mock backend
and one virtual clock, which stands still until the test moves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from help_line import put_through, serve

from utd_core import UTDCallStatus
from utd_core.testing import Eventually, InjectFault, MakeClient, VirtualClock

pytestmark = pytest.mark.asyncio

Desks = Callable[[str], None]


@pytest_asyncio.fixture
async def sits_down(utd_client: MakeClient, utd_clock: VirtualClock) -> AsyncIterator[Desks]:
    """`sits_down("bob")`: an agent at work until the end of the test."""
    desks = []

    def open_desk(agent: str) -> None:
        desks.append(asyncio.create_task(serve(utd_client(agent))))

    yield open_desk
    for desk in desks:
        desk.cancel()
    await asyncio.gather(*desks, return_exceptions=True)


async def test_the_second_agent_answers_after_the_first_has_rung_for_30_seconds(
    utd_client: MakeClient, utd_clock: VirtualClock, sits_down: Desks
) -> None:
    sits_down("cleo")
    async with utd_client("ada") as ada, ada.call_session("audio_call") as call:
        looking = asyncio.create_task(put_through(call, ["bob", "cleo"]))

        await utd_clock.advance(29.9)
        assert call.call.value is not None
        assert call.call.value.callee_identity == "bob"

        await utd_clock.advance_until(looking.done)
        answered = await looking
        assert answered is not None
        assert answered.callee_identity == "cleo"
        assert utd_clock.monotonic() == pytest.approx(30)


async def test_nobody_is_there(utd_client: MakeClient, utd_clock: VirtualClock) -> None:
    async with utd_client("ada") as ada, ada.call_session("audio_call") as call:
        looking = asyncio.create_task(put_through(call, ["bob", "cleo", "dan"]))
        assert await utd_clock.advance_until(looking.done) == pytest.approx(90)
        assert await looking is None
        assert call.status.value is UTDCallStatus.MISSED


async def test_an_agent_in_a_call_is_passed_over_without_ringing(
    utd_client: MakeClient, utd_clock: VirtualClock, sits_down: Desks
) -> None:
    sits_down("bob")
    async with (
        utd_client("ada") as ada,
        utd_client("eve") as eve,
        ada.call_session("audio_call") as first,
        eve.call_session("audio_call") as second,
    ):
        await utd_clock.settle()
        assert await put_through(first, ["bob"]) is not None
        assert await put_through(second, ["bob"]) is None
        assert second.status.value is UTDCallStatus.BUSY
        assert utd_clock.monotonic() == 0


async def test_a_call_outlives_ten_seconds_without_a_connection(
    utd_client: MakeClient,
    utd_clock: VirtualClock,
    utd_faults: InjectFault,
    eventually: Eventually,
    sits_down: Desks,
) -> None:
    sits_down("bob")
    async with utd_client("ada") as ada, ada.call_session("audio_call") as call:
        await utd_clock.settle()
        answered = await put_through(call, ["bob"])
        assert answered is not None

        await utd_faults("signal_drop", answered.room_name, "ada", seconds=10)
        await eventually(lambda: not call.connected.value)
        await eventually(lambda: call.connected.value, timeout=11)
        assert call.status.value is UTDCallStatus.ACTIVE
