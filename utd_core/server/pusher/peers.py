"""The hubs of a project on other nodes: which of them are still there."""

from __future__ import annotations

GREETING = 5.0
"""Seconds after which a hub that has members says that it is still there."""
SILENCE = 3 * GREETING
"""Seconds after which a hub that says nothing counts as gone."""


class Peers:
    """When each hub was heard last. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}
        self._given_up: set[str] = set()

    def heard(self, hub: str, now: float) -> bool:
        """It has said something; whether it had been given up."""
        self._heard[hub] = now
        if hub in self._given_up:
            self._given_up.discard(hub)
            return True
        return False

    def gone(self, hub: str) -> None:
        """It has said goodbye."""
        self._heard.pop(hub, None)
        self._given_up.discard(hub)

    def forgive(self, now: float) -> None:
        """Nobody could be heard for a while."""
        self._heard = dict.fromkeys(self._heard, now)

    def give_up(self, now: float) -> list[str]:
        """Those that have been silent for too long, each once."""
        silent = [hub for hub, at in self._heard.items() if now - at > SILENCE]
        for hub in silent:
            del self._heard[hub]
        # One that does not come back has ended; a few names are kept for those that were only cut off.
        self._given_up = set([*self._given_up, *silent][-_KEPT:])
        return silent


_KEPT = 1_000
