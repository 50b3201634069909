"""The switchboards of this process, by the address in their tickets."""

from __future__ import annotations

import secrets
import weakref
from typing import TYPE_CHECKING

from utd_core.errors import ConnectFailed

if TYPE_CHECKING:
    from .switchboard import Switchboard

SCHEME = "p2p+local:"

# Weak: a backend that somebody forgot to close must not live as long as the process.
_boards: weakref.WeakValueDictionary[str, Switchboard] = weakref.WeakValueDictionary()


def register(board: Switchboard) -> str:
    """Make a switchboard reachable; its address."""
    url = SCHEME + secrets.token_hex(8)
    _boards[url] = board
    return url


def forget(board: Switchboard) -> None:
    """It is not reachable any more. Idempotent."""
    _boards.pop(board.url, None)


def reach(url: str) -> Switchboard:
    """The switchboard at `url`. Raises `ConnectFailed` where none is in this process."""
    board = _boards.get(url)
    if board is None:
        raise ConnectFailed(
            f"nobody answers at {url!r}: the backend was closed, or runs in another process",
            details={"reason": "server_away"},
        )
    return board
