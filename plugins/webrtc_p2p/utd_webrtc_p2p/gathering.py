"""STUN and TURN servers that do not answer hold up nobody who leaves.

aioice waits 5 s for a server to give a candidate, whatever becomes of the peer connection meanwhile, and more than a
minute for a relay that is gone to let go of what it gave. What follows ends the one at once, and the other after
`FAREWELL`, for the peer connections of this plugin alone. Where a release of aioice asks in another way, it waits as it
does there; `tests/webrtc_p2p/test_closing.py` notices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

from aioice import ice

T = TypeVar("T")
Ask = Callable[..., Awaitable[Any]]

FAREWELL = 1.0
"""Seconds that a relay has to let go of what it gave; it does so by itself when that runs out."""

_ASKING = ("server_reflexive_candidate", "relayed_candidate")
_INNER = "_TurnTransport__inner_protocol"

_present: ContextVar[Gathering | None] = ContextVar("utd_webrtc_p2p_gathering", default=None)


class Gathering:
    """What one peer connection asks of ICE servers."""

    def __init__(self) -> None:
        self._asking: set[asyncio.Task[Any]] = set()
        self._over = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Servers that are asked inside the block, also by tasks begun there, are asked until `stop()`."""
        _install()
        token = _present.set(self)
        try:
            yield
        finally:
            _present.reset(token)

    def stop(self) -> None:
        """No server is waited for any more. Idempotent."""
        self._over = True
        for task in self._asking:
            task.cancel()

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """The answer. Raises `ConnectionError` once this was stopped."""
        task = asyncio.current_task()
        assert task is not None
        self._asking.add(task)
        try:
            if not self._over:
                return await question()
        except asyncio.CancelledError:
            # Who waits for all the answers takes an error for one that did not come, but not a cancellation.
            if not self._over:
                raise
        finally:
            self._asking.discard(task)
        raise ConnectionError("the peer connection was closed while its candidates were gathered")


def _install() -> None:
    for name in _ASKING:
        ask: Ask | None = getattr(ice, name, None)
        if ask is not None and not getattr(ask, "with_an_end", False):
            setattr(ice, name, _with_an_end(ask))


def _with_an_end(ask: Ask) -> Ask:
    async def ask_until_stopped(*arguments: Any, **named: Any) -> Any:
        gathering = _present.get()
        if gathering is None:
            return await ask(*arguments, **named)
        found = await gathering.ask(lambda: ask(*arguments, **named))
        _hasten_the_end(found)
        return found

    ask_until_stopped.with_an_end = True  # type: ignore[attr-defined]  # a mark on our own function
    return ask_until_stopped


def _hasten_the_end(found: tuple[Any, Any]) -> None:
    """Have a relay's candidate deleted within `FAREWELL`. Cancelling what deletes it closes its socket."""
    _, protocol = found
    inner = getattr(getattr(protocol, "transport", None), _INNER, None)
    if inner is None or not hasattr(inner, "delete"):
        return
    delete: Callable[[], Awaitable[None]] = inner.delete

    async def delete_in_time() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(delete(), FAREWELL)

    inner.delete = delete_in_time
