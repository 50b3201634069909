"""The leak check sees tasks, threads and descriptors, and nothing else."""

from __future__ import annotations

import asyncio
import os
import socket
import threading

import pytest

from utd_core.testing.leaks import Snapshot, assert_no_leaks, leaks_since


async def test_nothing_is_left_behind_by_nothing() -> None:
    before = Snapshot.take()
    assert await leaks_since(before) == []


async def test_a_task_is_named_with_its_place() -> None:
    before = Snapshot.take()
    stray = asyncio.create_task(asyncio.sleep(1_000), name="stray")
    with pytest.raises(AssertionError, match=r"left behind:\n  task stray: sleep at ") as caught:
        await assert_no_leaks(before, grace=0.01)
    stray.cancel()
    await asyncio.wait([stray])
    assert "test_leaks" in str(caught.value) or "tasks.py" in str(caught.value)
    await assert_no_leaks(before)


async def test_a_thread_is_named() -> None:
    before = Snapshot.take()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="stray-thread")
    thread.start()
    assert await leaks_since(before, grace=0.01) == ["thread stray-thread"]
    end.set()
    await asyncio.to_thread(thread.join)
    await assert_no_leaks(before)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system cannot list descriptors")  # noqa: PTH112
async def test_a_socket_is_told_with_its_ends() -> None:
    before = Snapshot.take()
    with (
        socket.create_server(("127.0.0.1", 0)) as near,
        socket.create_connection(near.getsockname()) as far,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as idle,
    ):
        leaked = {line.split(":")[0]: line for line in await leaks_since(before, grace=0.0)}
        here, there = far.getsockname(), near.getsockname()
        assert leaked[f"descriptor {far.fileno()}"].endswith(f", STREAM at {here} to {there}")
        assert leaked[f"descriptor {near.fileno()}"].endswith(f", STREAM at {there}")
        assert leaked[f"descriptor {idle.fileno()}"].endswith(", DGRAM at ('0.0.0.0', 0)")
    await assert_no_leaks(before)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system cannot list descriptors")  # noqa: PTH112
async def test_a_descriptor_is_told_by_what_it_is() -> None:
    before = Snapshot.take()
    pipe = os.pipe()
    assert [line.split(":")[1].split()[0] for line in await leaks_since(before, grace=0.01)] == ["pipe", "pipe"]
    for end in pipe:
        os.close(end)
    await assert_no_leaks(before)


async def test_what_takes_a_moment_to_end_is_waited_for() -> None:
    before = Snapshot.take()
    ending = asyncio.create_task(asyncio.sleep(0.05))
    assert await leaks_since(before, grace=5) == []
    assert ending.done()


async def test_the_threads_of_the_loops_own_executor_are_the_loops() -> None:
    before = Snapshot.take()
    await asyncio.to_thread(int)
    assert await leaks_since(before, grace=0.05) == []
