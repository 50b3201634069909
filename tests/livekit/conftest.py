"""A LiveKit server for the tests: the one on PATH, or the pinned one, built first where it is not there yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from threading import Thread

import pytest
from livekit import rtc

from tests.postgres import _private_server, postgres_server  # noqa: F401  # fixtures
from utd_core.concurrency import SystemClock
from utd_livekit.backend import LiveKitBackend
from utd_livekit.sdk import let_go, warm_up
from utd_livekit.server.binary import ensure_binary
from utd_livekit.server.local import LocalServer
from utd_livekit.testing import contract_harness, shared_server


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Whatever stays with the server is there before a test is watched for leaks."""
    if "server" in getattr(item, "fixturenames", ()):
        contract_harness()
    elif "library" in getattr(item, "fixturenames", ()):
        _wake_library()


@cache
def _wake_library() -> None:
    warm_up()
    # What it keeps for ever it opens with its first track, which wants a loop; that of the tests is not there yet.
    thread = Thread(target=lambda: asyncio.run(_make_first_track()))
    thread.start()
    thread.join()


async def _make_first_track() -> None:
    source = rtc.AudioSource(48_000, 1)
    let_go(rtc.LocalAudioTrack.create_audio_track("first", source), source)


@pytest.fixture
def library() -> None:
    """The native library, with the threads and descriptors that it keeps."""


@pytest.fixture(scope="session")
def built_server() -> Path:
    """The server's binary."""
    return ensure_binary()


@pytest.fixture(scope="session")
def server(built_server: Path) -> LocalServer:
    """The server that the tests of this process share."""
    return shared_server()


@pytest.fixture
async def backend(server: LocalServer) -> AsyncIterator[LiveKitBackend]:
    """A backend on the shared server."""
    await asyncio.to_thread(server.start)
    async with LiveKitBackend({**server.settings, "server": server}, SystemClock()) as backend:
        yield backend
