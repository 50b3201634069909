"""What is going on now.

Scenes write it, and a view reads it from another thread: what stands here is replaced, never changed in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from ...client import UTDSession
from .devices import Speech
from .listener import Hearing

MOST_STEPS = 4
"""Steps that are kept to be shown."""


class Progress(StrEnum):
    """How far a scene is."""

    WAITING = "waiting"
    PLAYING = "playing"
    HEARD = "heard"
    NOT_HEARD = "not heard"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Card:
    """A scene in the list of scenes."""

    scene: str
    progress: Progress = Progress.WAITING


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who has a microphone in the present scene."""

    identity: str
    microphone: Speech


class Board:
    """`on_step(scene, text)` is told every step as it happens."""

    def __init__(self, backend: str, scenes: tuple[str, ...], on_step: Callable[[str, str], object]) -> None:
        self.backend = backend
        self.cards = tuple(map(Card, scenes))
        self.steps: tuple[str, ...] = ()
        self.session: UTDSession | None = None
        """The session whose state is shown: seats, stage or call as one participant sees it."""
        self.speakers: tuple[Speaker, ...] = ()
        self.listeners: tuple[Hearing, ...] = ()
        self._scene = "house"
        self._on_step = on_step

    def begin(self, scene: str, listeners: tuple[Hearing, ...]) -> None:
        """A scene begins."""
        self._scene = scene
        self.session, self.steps, self.speakers, self.listeners = None, (), (), listeners
        self.mark(scene, Progress.PLAYING)

    def mark(self, scene: str, progress: Progress) -> None:
        """A scene has got so far."""
        self.cards = tuple(replace(card, progress=progress) if card.scene == scene else card for card in self.cards)

    def say(self, text: str) -> None:
        """Something happened in the present scene."""
        self.steps = (*self.steps, text)[-MOST_STEPS:]
        self._on_step(self._scene, text)

    def opened(self, identity: str, microphone: Speech) -> None:
        """Somebody opened a microphone."""
        others = (speaker for speaker in self.speakers if speaker.identity != identity)
        self.speakers = (*others, Speaker(identity, microphone))
