"""Why nobody was let in, in words that say what to do; and nothing of a ticket in any message or log."""

from __future__ import annotations

import asyncio
import logging
import os
import re

import aiohttp

from utd_core.errors import ConnectFailed

_TICKET = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""A token as LiveKit's are: its server quotes those that it refuses, and the native library hands that on."""
_ROUTE = re.compile(r"^(engine: )?(signal failure: )?")
UNTRUSTED = "the environment's SSL_CERT_FILE names a file with the certificates of those to trust"
_UNREACHED = "transport connection"
_REMEDIES = {
    "certificate": UNTRUSTED,
    "401 ": "ask the engine for a new ticket; has it the server's API key and secret, and do their clocks agree?",
    "404 ": "the room is closed, or was never made: join through the engine, which makes it",
    "500 ": "LiveKit answers so where the room is full, or where it failed: then its log says why",
    _UNREACHED: "is it up, and is this its address?",
    "parse the url": "a ticket's address is one as in wss://livekit.example",
}
"""What to do, by what is in the native library's words: the first of these that is."""
_PATIENCE = 2.0
"""Seconds; the server is there: it has just refused somebody."""
_UNAUTHORIZED = 401
_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
"""What the native library goes by, and by no `no_proxy`: also on the way to an address of this machine."""


def refusal(url: str, said: str) -> ConnectFailed:
    """The error of a connect that failed; `said`: the native library's words for it."""
    words = without_tickets(_ROUTE.sub("", said))
    remedy = next((each for known, each in _REMEDIES.items() if known in words), "try again, or look at its log")
    proxies = [name for name in _PROXIES if os.environ.get(name)]
    if remedy == _REMEDIES[_UNREACHED] and proxies:
        remedy += f" LiveKit's library goes by the proxy that {proxies[0]} names, whatever no_proxy says: unset it"
    return ConnectFailed(f"LiveKit let nobody in at {url}: {words}; {remedy}")


async def has_run_out(url: str, ticket: str) -> bool:
    """Whether that is why the server refuses it, by its own clock and in its own words. False also when it says
    nothing."""
    asked = f"http{url.removeprefix('ws').removeprefix('http').rstrip('/')}/rtc/validate"
    try:
        async with (
            asyncio.timeout(_PATIENCE),
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {ticket}"}) as session,
            session.get(asked) as answer,
        ):
            return answer.status == _UNAUTHORIZED and "token is expired" in await answer.text()
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def without_tickets(text: str) -> str:
    """The text, with three dots for each ticket in it."""
    return _TICKET.sub("...", text)


class NoTickets(logging.Filter):
    """Takes tickets out of what the native library logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if (shown := without_tickets(said)) != said:
            record.msg, record.args = shown, None
        return True
