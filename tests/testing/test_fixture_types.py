"""The fixtures have types that a strict checker takes; `make check` reads this file, and that is half of the test."""

from __future__ import annotations

import inspect
from typing import assert_type

from utd_core import Engine, UTDStreamClient
from utd_core.client.options import ClientOptions
from utd_core.media.backend import MediaConnection
from utd_core.media.events import ParticipantInfo
from utd_core.model.permission import Grant
from utd_core.testing import Eventually, Fault, InjectFault, MakeClient, VirtualClock, Watch

REACHES_THE_ENGINE = {"link", "engine", "app_id", "app_key", "base_url", "token_base_url", "token_headers", "media"}
IS_SAID_ELSEWHERE = {"self", "identity", "name", "device_id", *REACHES_THE_ENGINE}


def test_the_options_of_a_client_are_those_of_its_constructor() -> None:
    taken = inspect.signature(UTDStreamClient.__init__).parameters
    assert set(ClientOptions.__annotations__) == set(taken) - IS_SAID_ELSEWHERE
    for name, parameter in taken.items():
        if name not in IS_SAID_ELSEWHERE:
            assert parameter.annotation == ClientOptions.__annotations__[name].__forward_arg__


async def test_a_client_is_made_with_the_options_that_clients_have(utd_client: MakeClient) -> None:
    ann = utd_client("ann", name="Ann", simulcast=True, grant_timeout=3.0)
    assert_type(ann, UTDStreamClient)
    assert ann.identity == "ann"


async def test_a_fault_and_what_follows_from_it(
    utd_engine: Engine, utd_faults: InjectFault, eventually: Eventually, utd_clock: VirtualClock
) -> None:
    backend = utd_engine.backend
    await backend.control.create_room("room")
    async with await backend.connect(await backend.control.issue_join("room", "ann", grant=Grant())) as connection:
        assert_type(connection, MediaConnection)
        present = await eventually(lambda: backend.control.list_participants("room"), timeout=1)
        assert_type(present, list[ParticipantInfo])
        await utd_faults(Fault.SIGNAL_DROP, "room", "ann", seconds=10)
        await utd_faults("server_leave", "room", "ann")
        assert_type(await eventually(lambda: connection.events.closed, timeout=11, what="the end"), bool)
    assert utd_clock.monotonic() < 60


async def test_a_watch_is_kept(no_blocking_calls: Watch) -> None:
    assert no_blocking_calls.calls == []


def misuse(utd_client: MakeClient, utd_faults: InjectFault) -> None:
    """Nobody calls it: it is here to be refused by the checker."""
    utd_client("ann", simulcats=True)  # type: ignore[call-arg]
    utd_faults("signal_drop", "room", "ann", seconds="ten")  # type: ignore[arg-type, unused-coroutine]
