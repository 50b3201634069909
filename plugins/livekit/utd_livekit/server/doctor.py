"""Where a LiveKit server comes from: one that runs already, or a binary to start."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from utd_core.errors import UTDStreamException
from utd_core.hooks import Check

from .binary import NAME, VERSION, find_binary

URL = "LIVEKIT_URL"
CREDENTIALS = ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
"""The names that LiveKit's own tools and libraries read."""

REMEDY = (
    f"set {URL}, {CREDENTIALS[0]} and {CREDENTIALS[1]} for a server that runs (LiveKit Cloud, or your own), "
    f"or put a {NAME} binary on PATH: `brew install livekit` (macOS), "
    "or a release of github.com/livekit/livekit for your platform; "
    f"or build {VERSION} into your cache: python -m utd_livekit.server.binary"
)


NETWORK_REMEDY = (
    "bring up one network interface besides lo, with any address and no route: "
    "`ip link add media0 type dummy && ip addr add 192.0.2.1/32 dev media0 && ip link set media0 up`"
)
_UP, _LOOPBACK = 0x1, 0x8
"""Of the flags of an interface."""


_PATIENCE = 5.0
"""Seconds in which a server should answer."""


def check_server() -> Check:
    """Whether there is a server to start, or one that runs, answers and has the same key. Blocks."""
    url = os.environ.get(URL)
    if url:
        missing = [name for name in CREDENTIALS if not os.environ.get(name)]
        if missing:
            needed = " and ".join(missing)
            remedy = f"set {needed}, as the server has it"
            return Check("server", ok=False, detail=f"{URL} is {url}, without {needed}", remedy=remedy)
        return _check_answer(f"{url} (from {URL})")
    binary = find_binary()
    if binary is not None:
        return Check("server", ok=True, detail=str(binary))
    return Check("server", ok=False, detail=f"{URL} is not set and there is no {NAME} on PATH", remedy=REMEDY)


def _check_answer(server: str) -> Check:
    """Whether the server of the environment takes a request. `server`: it, in words."""
    try:
        # Only now: whoever is asked for a doctor may lack the library, and another check says so.
        from livekit import api

        from ..requests import Requests
        from ..settings import LiveKitSettings
    except ImportError:
        return Check("server", ok=True, detail=f"{server}, not asked")

    async def ask() -> None:
        async with Requests(LiveKitSettings.read({"timeout": _PATIENCE})) as requests:
            await requests.make(lambda service: service.list_rooms(api.ListRoomsRequest()))

    try:
        asyncio.run(ask())
    except UTDStreamException as error:
        what, _, remedy = error.message.partition("; ")
        return Check("server", ok=False, detail=what, remedy=remedy or REMEDY)
    return Check("server", ok=True, detail=f"{server} answers, and has the same key")


def check_network(interfaces: Path = Path("/sys/class/net")) -> Check:
    """Whether the native library can open a media path: it takes no loopback interface for one.

    `interfaces`: where the system lists them; one that does not is taken at its word.
    """
    if not interfaces.is_dir():
        return Check("network", ok=True, detail="not looked at on this system")
    up = sorted(each.name for each in interfaces.iterdir() if _is_up(each))
    if up:
        return Check("network", ok=True, detail=", ".join(up))
    return Check("network", ok=False, detail="no interface but loopback is up", remedy=NETWORK_REMEDY)


def _is_up(interface: Path) -> bool:
    try:
        flags = int((interface / "flags").read_text(), 16)
    except (OSError, ValueError):
        return False
    return bool(flags & _UP) and not flags & _LOOPBACK
