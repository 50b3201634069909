"""Hears who speaks in a room, from the frames that microphones write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from utd_core.media.events import Speaker
from utd_core.media.frames import AudioFrame, Frame
from utd_core.media.speaking import LOOK, Speaking, level_of

from .agenda import Agenda, Timer

_FRAMES = 10
"""Of one microphone in one look; more only where frames are not written in real time."""


class Ears:
    """`tell(speakers)` is called when they are others than before. While nothing is to be heard, nothing is done."""

    def __init__(self, agenda: Agenda, tell: Callable[[tuple[Speaker, ...]], None]) -> None:
        self._agenda = agenda
        self._tell = tell
        self._speaking = Speaking()
        self._heard: dict[str, deque[AudioFrame]] = {}
        self._timer: Timer | None = None

    @property
    def speakers(self) -> tuple[Speaker, ...]:
        """Who speaks now, loudest first."""
        return self._speaking.speakers

    def microphone(self, identity: str) -> Callable[[Frame], None]:
        """What the frames of somebody's microphone go through."""
        frames: deque[AudioFrame] = deque(maxlen=_FRAMES)

        def hear(frame: Frame) -> None:
            assert isinstance(frame, AudioFrame)
            frames.append(frame)
            if self._timer is None:
                self._timer = self._agenda.after(LOOK, self._look)
            self._heard[identity] = frames

        return hear

    def forget(self, identity: str) -> None:
        """Somebody is gone."""
        self._heard.pop(identity, None)
        self._say(self._speaking.forget(identity, self._agenda.clock.monotonic()))
        if self._speaking.is_quiet and not self._heard:
            self.close()

    def close(self) -> None:
        """Hear no more, until there is another sound. Idempotent."""
        if self._timer is not None:
            self._agenda.cancel(self._timer)
            self._timer = None

    def _look(self) -> None:
        heard, self._heard = self._heard, {}
        levels = {}
        for identity, frames in heard.items():
            levels[identity] = level_of(frames)
            frames.clear()
        self._timer = self._agenda.after(LOOK, self._look)
        self._say(self._speaking.look(self._agenda.clock.monotonic(), levels))
        if self._speaking.is_quiet:
            self.close()

    def _say(self, speakers: tuple[Speaker, ...] | None) -> None:
        if speakers is not None:
            self._tell(speakers)
