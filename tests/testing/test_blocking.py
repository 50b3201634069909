"""Blocking calls on the loop are caught, also where somebody hides them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from importlib import import_module
from pathlib import Path

import pytest

from utd_core.testing.blocking import no_blocking_calls
from utd_core.testing.leaks import Snapshot


async def test_a_blocking_call_raises_where_it_is_made() -> None:
    with pytest.raises(Exception, match=r"Blocking call to time\.sleep"), no_blocking_calls():
        time.sleep(0.001)  # noqa: ASYNC251  # what is caught


async def test_a_blocking_call_that_is_hidden_is_told_at_the_end() -> None:
    def hide() -> None:
        with no_blocking_calls() as watch:
            with contextlib.suppress(Exception):
                time.sleep(0.001)
            assert watch.calls == ["time.sleep"]

    with pytest.raises(AssertionError, match=r"blocked the event loop: time\.sleep"):
        hide()


async def test_awaiting_and_threads_are_fine() -> None:
    with no_blocking_calls() as watch:
        await asyncio.sleep(0.001)
        await asyncio.to_thread(time.sleep, 0.001)
    assert watch.calls == []


async def test_the_leak_check_itself_may_look() -> None:
    with no_blocking_calls():
        Snapshot.take()


async def test_what_is_allowed_is_let_through() -> None:
    def slow() -> None:
        time.sleep(0.001)

    with no_blocking_calls(allow=(("tests/testing/test_blocking.py", "slow"),)):
        slow()


async def test_an_import_when_it_is_first_needed_is_let_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "heavy_library.py").write_text("import time\ntime.sleep(0.001)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with no_blocking_calls() as watch:
        import_module("heavy_library")
    assert watch.calls == []


async def test_afterwards_the_world_is_as_it_was() -> None:
    with no_blocking_calls():
        pass
    time.sleep(0)  # noqa: ASYNC251  # not watched any more
