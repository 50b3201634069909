"""What a LiveKit server says of a ticket that it takes no more."""

from __future__ import annotations

import asyncio

import aiohttp

_PATIENCE = 2.0
"""Seconds; the server is there: it has just refused the ticket."""
_UNAUTHORIZED = 401


async def has_run_out(url: str, ticket: str) -> bool:
    """Whether that is why, by the server's own clock and in its own words. False also when it says nothing."""
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
