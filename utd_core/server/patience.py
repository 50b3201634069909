"""How long a request may take to arrive: a client that sends a byte now and then holds nothing for ever."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive

from ..errors import RequestTimeout

LINGERS = "utd.lingers"
"""In the extensions of a request's scope: a connection that is answered before all of a body came stays open for a
while, so that its client sees the answer, and not that the connection was reset."""


class PatientReceive:
    """A `receive` that waits for a body, from its first piece to its last, for `seconds` at the most.

    Raises `RequestTimeout`. Time is that of the event loop, as it is a connection that is waited for.
    """

    __slots__ = ("_is_whole", "_receive", "_seconds", "_until")

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._until: float | None = None
        self._is_whole = False

    async def __call__(self) -> Message:
        # What comes after the body is that the client went away, which takes as long as it takes.
        if self._is_whole:
            return await self._receive()
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout(f"the body did not come within {self._seconds:g} s; send it at once") from None
        self._is_whole = not message.get("more_body", False)
        return message
