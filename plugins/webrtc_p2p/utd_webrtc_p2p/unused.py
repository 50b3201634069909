"""Sections that carry nothing say nothing.

All four are open from the start, and aiortc reports each second what each of them has sent, which costs both sides more
than the sound of a call does. Where a release of aiortc counts in another way, it reports as it does there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiortc import RTCRtpSender

_SENT = "_RTCRtpSender__packet_count"


def hush(senders: Iterable[RTCRtpSender]) -> None:
    """Have these senders report only once they have sent something."""
    for sender in senders:
        if hasattr(sender, _SENT) and hasattr(sender, "_send_rtcp"):
            setattr(sender, "_send_rtcp", _once_used(sender, sender._send_rtcp))  # noqa: B010  # aiortc's own method


def _once_used(sender: Any, send: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    async def send_once_used(packets: Any) -> None:
        if getattr(sender, _SENT):
            await send(packets)

    return send_once_used
