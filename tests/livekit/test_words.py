"""The last word counts, though the native library sends two that are said at once in either order."""

from __future__ import annotations

import asyncio
import selectors
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from utd_livekit import words
from utd_livekit.words import LastWord


class Skipping(selectors.SelectSelector):
    """Skips what there is to wait."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class SkippingLoop(asyncio.SelectorEventLoop):
    """A loop on which nothing takes time but waiting, which takes none."""

    def __init__(self) -> None:
        self._skipping = Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now


class Hearer:
    """Whom words are told: what and when, and what was said once more."""

    def __init__(self) -> None:
        self.log: list[tuple[float, bool]] = []
        self.repeats: list[bool] = []
        self.word = LastWord(self.hear, self.repeats.append)

    def hear(self, word: bool) -> None:
        self.log.append((asyncio.get_running_loop().time(), word))


async def say(said: list[tuple[bool, float]]) -> Hearer:
    """Words, and how long it is then to the next one."""
    hearer = Hearer()
    for word, then in said:
        hearer.word.say(word)
        await asyncio.sleep(then)
    await asyncio.sleep(10.0)
    return hearer


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 1.0)), min_size=1, max_size=30))
def test_the_last_word_is_told_and_none_soon_after_its_contrary(said: list[tuple[bool, float]]) -> None:
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        hearer = runner.run(say(said))
    (last, _) = said[-1]
    assert hearer.log[-1][1] is hearer.repeats[-1] is last
    for (earlier, before), (later, after) in pairwise(hearer.log):
        assert before is after or later - earlier > words.APART - 1e-6


async def test_the_first_word_and_the_same_one_again_are_told_at_once() -> None:
    hearer = Hearer()
    for word in (True, True, False, True):
        hearer.word.say(word)
    assert [word for _, word in hearer.log] == [True, True, True]
    hearer.word.stop()


def test_after_the_end_nothing_is_told() -> None:
    async def end() -> Hearer:
        hearer = Hearer()
        hearer.word.say(True)
        hearer.word.say(False)
        hearer.word.stop()
        await asyncio.sleep(10.0)
        return hearer

    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        hearer = runner.run(end())
    assert [word for _, word in hearer.log] == [True]
    assert not hearer.repeats
