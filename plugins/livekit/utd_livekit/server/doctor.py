"""Where a LiveKit server comes from: one that runs already, or a binary to start."""

from __future__ import annotations

import os

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


def check_server() -> Check:
    """Whether there is a server to talk to or to start. Connects to nothing: that is what the contract suite does."""
    url = os.environ.get(URL)
    if url:
        missing = [name for name in CREDENTIALS if not os.environ.get(name)]
        if missing:
            needed = " and ".join(missing)
            remedy = f"set {needed}, as the server has it"
            return Check("server", ok=False, detail=f"{URL} is {url}, without {needed}", remedy=remedy)
        return Check("server", ok=True, detail=f"{url} (from {URL})")
    binary = find_binary()
    if binary is not None:
        return Check("server", ok=True, detail=str(binary))
    return Check("server", ok=False, detail=f"{URL} is not set and there is no {NAME} on PATH", remedy=REMEDY)
