"""The help line, tested offline: no server, no network, and 90 seconds of ringing in milliseconds.

    pytest examples/help_line

`utd_client`, `utd_clock` and `utd_faults` are fixtures that utd-core brings. They share one engine on the mock backend
and one virtual clock, which stands still until the test moves it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from help_line import put_through, serve

from utd_core import UTDCallStatus

pytestmark = pytest.mark.asyncio


async def test_the_first_agent_who_answers_has_the_call(utd_client: Any, utd_clock: Any) -> None:
    caller, _sleeper, agent = [await utd_client(name) for name in ("ada", "bob", "cleo")]
    desk = asyncio.create_task(serve(agent))
    async with caller.call_session("audio_call") as call:
        began = time.perf_counter()
        looking = asyncio.create_task(put_through(call, ["bob", "cleo"]))

        await utd_clock.advance(29.9)
        assert call.status.value is UTDCallStatus.INITIATING  # no device of bob's has said that it rings
        await utd_clock.advance_until(looking.done)

        answered = await looking
        assert answered is not None
        assert answered.callee_identity == "cleo"
        assert utd_clock.monotonic() == pytest.approx(30)  # that is how long bob's phone rang
        assert time.perf_counter() - began < 5
    desk.cancel()


async def test_nobody_is_there(utd_client: Any, utd_clock: Any) -> None:
    caller = await utd_client("ada")
    async with caller.call_session("audio_call") as call:
        looking = asyncio.create_task(put_through(call, ["bob", "cleo", "dan"]))
        await utd_clock.advance(90)
        assert await looking is None
        assert call.status.value is UTDCallStatus.MISSED


async def test_an_agent_in_a_call_is_passed_over_without_ringing(utd_client: Any, utd_clock: Any) -> None:
    first, second, agent = [await utd_client(name) for name in ("ada", "eve", "bob")]
    desk = asyncio.create_task(serve(agent))
    async with first.call_session("audio_call") as one, second.call_session("audio_call") as two:
        assert await put_through(one, ["bob"]) is not None
        assert await put_through(two, ["bob"]) is None
        assert two.status.value is UTDCallStatus.BUSY
        assert utd_clock.monotonic() == 0
    desk.cancel()


async def test_a_call_survives_ten_seconds_without_signal(
    utd_client: Any, utd_clock: Any, utd_faults: Any, eventually: Any
) -> None:
    caller, agent = await utd_client("ada"), await utd_client("bob")
    desk = asyncio.create_task(serve(agent))
    async with caller.call_session("audio_call") as call:
        answered = await put_through(call, ["bob"])
        assert answered is not None

        await utd_faults("signal_drop", answered.room_name, "ada", seconds=10)
        await eventually(lambda: not call.connected.value)
        await utd_clock.advance(10)

        await eventually(lambda: call.connected.value)
        assert call.status.value is UTDCallStatus.ACTIVE
    desk.cancel()
