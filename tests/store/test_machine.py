"""Random commits, prunes, discards and reopenings: the store always holds what a plain dictionary would.

Hypothesis chooses the steps; after each of them everything that can be asked is compared.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.postgres import Database
from utd_core.errors import Conflict
from utd_core.store import Answer, Commit, Envelope, Head, Remains, StoredState, open_store
from utd_core.store.sql_store import SqlStore

from .rows import event

KINDS = st.sampled_from(["room", "call"])
KEYS = st.sampled_from(["a", "b", "c"])
CHANNELS = st.sampled_from(["x", "y"])
TIMES = st.integers(0, 20).map(float)
STATES = st.lists(
    st.tuples(
        KINDS, KEYS, st.integers(0, 2), st.binary(max_size=8), st.none() | TIMES, st.none() | TIMES, st.integers(1, 3)
    ),
    max_size=3,
)
EVENTS = st.lists(st.tuples(CHANNELS, TIMES, st.sampled_from([1, 1, 1, 1, 1, 1, 0, 2])), max_size=6)
ANSWERS = st.lists(st.tuples(KEYS, KEYS, TIMES), max_size=2)


class StoreMachine(RuleBasedStateMachine):
    """The store beside its model: `states`, `events` and `answers` as dictionaries."""

    reopens = False

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.states: dict[tuple[str, str], StoredState] = {}
        self.events: dict[str, list[Envelope]] = {"x": [], "y": []}
        self.held_after: dict[str, int] = {"x": 0, "y": 0}
        self.answers: dict[tuple[str, str], Answer] = {}
        self.store: SqlStore | None = None
        self.open()
        self.database = self.runner.run(self.opened.head("x")).epoch
        # The epochs that a channel was in, the present one last; the database's until its first event names another.
        self.epochs = {"x": [self.database], "y": [self.database]}

    @property
    def opened(self) -> SqlStore:
        assert self.store is not None
        return self.store

    def open(self) -> None:
        self.store = self.make()
        self.runner.run(self.store.open())

    def make(self) -> SqlStore:
        return open_store()

    @rule(states=STATES, events=EVENTS, answers=ANSWERS)
    def commit(
        self,
        states: list[tuple[str, str, int, bytes, float | None, float | None, int]],
        events: list[tuple[str, float, int]],
        answers: list[tuple[str, str, float]],
    ) -> None:
        """Mostly what fits; now and then a wrong version, a taken key or an offset that does not follow."""
        commit = Commit()
        new_states, new_answers = dict(self.states), dict(self.answers)
        new_events = {channel: list(held) for channel, held in self.events.items()}
        named = {channel: self.epoch_of(channel) for channel in self.events}
        fits = True
        for kind, key, off, payload, deadline, ended_at, rise in states:
            present = new_states.get((kind, key))
            expected = (0 if present is None else present.version) + (off == 2)
            row = StoredState(kind, key, expected + rise, payload, deadline, ended_at)
            commit.states.append((row, expected))
            fits = fits and off != 2
            new_states[kind, key] = row
        for channel, at, step in events:
            offset = len(new_events[channel]) + step
            envelope = Envelope(channel, named[channel], offset, "room", "a", at, event(str(offset)))
            commit.events.append(envelope)
            fits = fits and step == 1
            new_events[channel].append(envelope)
        for actor, key, at in answers:
            answer = Answer(actor, key, "f", b"1", at)
            commit.answers.append(answer)
            fits = fits and (actor, key) not in new_answers
            new_answers[actor, key] = answer
        if fits:
            self.runner.run(self.opened.commit(commit))
            for channel, epoch in named.items():
                if new_events[channel] and not self.events[channel]:
                    self.epochs[channel].append(epoch)
            self.states, self.events, self.answers = new_states, new_events, new_answers
        else:
            with pytest.raises(Conflict):
                self.runner.run(self.opened.commit(commit))

    @rule(before=TIMES, keep=st.integers(0, 6), answers_before=st.none() | TIMES)
    def prune(self, before: float, keep: int, answers_before: float | None) -> None:
        deleted = 0
        for channel, events in self.events.items():
            first = self.held_after[channel]
            while first < len(events) - keep and events[first].at < before:
                first += 1
            deleted += first - self.held_after[channel]
            self.held_after[channel] = first
        limit = before if answers_before is None else answers_before
        old = [key for key, answer in self.answers.items() if answer.at < limit]
        for key in old:
            del self.answers[key]
        assert self.runner.run(self.opened.prune(before, keep, answers_before=answers_before)) == deleted + len(old)

    def epoch_of(self, channel: str) -> str:
        """The channel's, or a new one that its first event names."""
        known = self.epochs[channel]
        return known[-1] if self.events[channel] else f"{channel}-{len(known)}"

    @rule(kind=KINDS, key=KEYS, off=st.sampled_from([0, 0, 0, 1]), channel=st.none() | CHANNELS)
    def discard(self, kind: str, key: str, off: int, channel: str | None) -> None:
        state = self.states.get((kind, key))
        version = 1 if state is None else state.version + off
        goes = state is not None and state.ended_at is not None and off == 0
        assert self.runner.run(self.opened.discard([Remains(kind, key, version, channel)])) == [goes]
        if goes:
            del self.states[kind, key]
            if channel is not None:
                self.events[channel], self.held_after[channel] = [], 0

    @precondition(lambda self: self.reopens)
    @rule()
    def reopen(self) -> None:
        self.runner.run(self.opened.aclose())
        self.open()

    @invariant()
    def holds_the_states(self) -> None:
        run, store = self.runner.run, self.opened
        for kind in ("room", "call"):
            rows = [row for (of_kind, _), row in sorted(self.states.items()) if of_kind == kind]
            assert run(store.states(kind, ended=None)) == rows
            assert (
                run(store.states(kind, after="a", limit=1))
                == [r for r in rows if r.ended_at is None and r.key > "a"][:1]
            )
            for key in "abc":
                assert run(store.load(kind, key)) == self.states.get((kind, key))
        waiting = sorted((row.deadline, row.kind, row.key) for row in self.states.values() if row.deadline is not None)
        assert run(store.next_deadline()) == (waiting[0][0] if waiting else None)
        found = run(store.due(10.0))
        assert all(self.states[kind, key].version == version for kind, key, version in found)
        due = [(kind, key) for kind, key, _ in found]
        assert sorted(due) == sorted((kind, key) for deadline, kind, key in waiting if deadline <= 10.0)
        assert [self.states[name].deadline for name in due] == [at for at, _, _ in waiting if at <= 10.0]

    @invariant()
    def holds_the_events(self) -> None:
        run, store = self.runner.run, self.opened
        for channel, events in self.events.items():
            *others, epoch = [*self.epochs[channel], *([] if events else [self.database])]
            assert run(store.head(channel)) == Head(epoch, len(events))
            for after in range(-1, len(events) + 2):
                history = run(store.history(channel, epoch, after, 4))
                if self.held_after[channel] <= after <= len(events):
                    assert history == events[after : after + 4]
                else:
                    assert history is None
                for other in set(others) - {epoch}:
                    assert run(store.history(channel, other, after, 4)) is None, "a place in an epoch that is over"

    @invariant()
    def tells_what_ended(self) -> None:
        over = {name: row for name, row in self.states.items() if row.ended_at is not None and row.ended_at < 10.0}
        found = self.runner.run(self.opened.ended(10.0))
        assert sorted(found) == sorted((kind, key, row.version) for (kind, key), row in over.items())
        times = [over[kind, key].ended_at or 0.0 for kind, key, _ in found]
        assert times == sorted(times)

    @invariant()
    def holds_the_answers(self) -> None:
        for actor in "abc":
            for key in "abc":
                found = self.runner.run(self.opened.answer(actor, key))
                assert found == self.answers.get((actor, key))

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.opened.aclose())
            self.runner.close()


class FileStoreMachine(StoreMachine):
    reopens = True

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="utd-store-"))
        super().begin()

    def make(self) -> SqlStore:
        return open_store(self.folder / "store.db")

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgresStoreMachine(StoreMachine):
    """Each example is a project of its own in the database of the session."""

    reopens = True
    server: Database

    @initialize()
    def begin(self) -> None:
        self.project = f"machine-{secrets.token_hex(6)}"
        super().begin()

    def make(self) -> SqlStore:
        return self.server.store(self.project)


_UNHURRIED = settings(suppress_health_check=[HealthCheck.too_slow])

TestInMemory = StoreMachine.TestCase
TestInMemory.settings = settings(_UNHURRIED, max_examples=25, stateful_step_count=25)
TestInFile = FileStoreMachine.TestCase
TestInFile.settings = settings(_UNHURRIED, max_examples=8, stateful_step_count=20)


@pytest.mark.usefixtures("in_postgres")
class TestInPostgres(PostgresStoreMachine.TestCase):  # type: ignore[misc, valid-type]  # made at run time
    settings = settings(_UNHURRIED, max_examples=8, stateful_step_count=20)


@pytest.fixture(scope="module")
def in_postgres(postgres: Database) -> None:
    PostgresStoreMachine.server = postgres
