"""Token buckets: what is let through, when to come again, and what is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.operations.nodes import APP, KEY, SECRET, a_node
from utd_core.errors import ErrorCode, RateLimited
from utd_core.model.command import THE_SERVER, Actor
from utd_core.server import Hosted, Project, ProjectLimits
from utd_core.server.callers import Caller, Credential
from utd_core.server.http.rates import Rates
from utd_core.testing import VirtualClock

from .world import World, done, refused


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Bench:
    """Buckets, a project with these limits, and its people."""

    def __init__(self, capacity: int = 1_000, **limits: Any) -> None:
        self.time = Time()
        self.rates = Rates(capacity)
        fields = {"identity_commands_per_second": None, **limits}
        project = Project("app", "key", ("secret",), limits=ProjectLimits(**fields))
        self.hosted = Hosted(project, cast(Any, SimpleNamespace(clock=self.time)))

    def admits(self, identity: str | None = None) -> bool:
        """Whether one more command is let through."""
        return self.wait(identity) == 0.0

    def wait(self, identity: str | None = None) -> float:
        """Seconds that somebody is told to wait; the application's server where nobody is named."""
        user = identity is not None
        caller = Caller(
            self.hosted,
            Credential.USER if user else Credential.SECRET,
            Actor(identity) if identity is not None else THE_SERVER,
        )
        try:
            self.rates.admit(caller)
        except RateLimited as error:
            return float(error.details["retry_after"])
        return 0.0


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    bench = Bench(commands_per_second=2.0, burst=5)
    assert [bench.admits() for _ in range(6)] == [True] * 5 + [False]
    for _ in range(10):
        bench.time.seconds += 0.5
        assert [bench.admits(), bench.admits()] == [True, False]
    bench.time.seconds += 1_000
    assert [bench.admits() for _ in range(6)] == [True] * 5 + [False]


def test_whoever_waits_as_long_as_told_is_let_through() -> None:
    bench = Bench(commands_per_second=3.0, burst=1)
    assert bench.admits()
    wait = bench.wait()
    assert wait == pytest.approx(1 / 3, abs=1e-3)
    bench.time.seconds += wait / 2
    assert not bench.admits()
    bench.time.seconds += wait / 2 + 1e-3
    assert bench.admits()


def test_an_identity_is_bound_by_its_own_bucket_and_by_that_of_all() -> None:
    bench = Bench(commands_per_second=1.0, burst=3, identity_commands_per_second=1.0, identity_burst=2)
    assert [bench.admits("ann") for _ in range(3)] == [True, True, False]
    assert [bench.admits("ben") for _ in range(2)] == [True, False]
    assert not bench.admits()


def test_a_refusal_of_one_bucket_takes_nothing_from_the_other() -> None:
    bench = Bench(commands_per_second=1.0, burst=4, identity_commands_per_second=1.0, identity_burst=1)
    assert bench.admits("ann")
    for _ in range(10):
        assert not bench.admits("ann")
    assert [bench.admits("ben"), bench.admits("cem"), bench.admits("dai")] == [True] * 3
    assert not bench.admits("eva")
    bench.time.seconds += 1
    assert bench.admits("eva")


def test_the_applications_server_has_no_bucket_of_its_own() -> None:
    bench = Bench(identity_commands_per_second=1.0, identity_burst=1)
    assert all(bench.admits() for _ in range(100))
    assert len(bench.rates) == 0


@pytest.mark.parametrize(("rate", "burst", "most"), [(5.0, None, 5), (0.5, None, 1), (5.0, 0, 1), (0.0, 2, 2)])
def test_limits_at_the_edge_still_mean_something(rate: float, burst: int | None, most: int) -> None:
    bench = Bench(commands_per_second=rate, burst=burst)
    assert [bench.admits() for _ in range(most + 1)] == [True] * most + [False]
    assert 0 < bench.wait() <= 3_600


def test_what_is_full_again_is_not_kept() -> None:
    bench = Bench(identity_commands_per_second=1.0, identity_burst=10)
    for number in range(500):
        bench.admits(f"guest-{number}")
    assert len(bench.rates) == 500
    for _ in range(300):
        bench.time.seconds += 1
        assert bench.admits("ann")
    assert len(bench.rates) == 1


def test_no_more_is_kept_than_allowed_and_the_quietest_go_first() -> None:
    bench = Bench(capacity=100, identity_commands_per_second=1.0, identity_burst=1)
    assert bench.admits("ann")
    for number in range(99):
        assert bench.admits(f"guest-{number}")
    assert not bench.admits("ann")
    for number in range(1_000):
        assert bench.admits(f"other-{number}")
        assert len(bench.rates) <= 100
    assert bench.admits("ann")


@given(
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_as_a_bucket_that_is_filled_drop_by_drop(rate: float, burst: int, pauses: list[float]) -> None:
    bench, tokens = Bench(commands_per_second=rate, burst=burst), float(burst)
    for pause in pauses:
        bench.time.seconds += pause
        tokens = min(float(burst), tokens + pause * rate)
        # Where a drop decides, either is right.
        if abs(tokens - 1) > 1e-6:
            assert bench.admits() is (tokens >= 1)
        elif not bench.admits():
            continue
        if tokens >= 1 - 1e-6:
            tokens -= 1


class TestOverHttp:
    @pytest.fixture
    async def world(self) -> AsyncIterator[World]:
        async with World() as world:
            world.change(
                limits=ProjectLimits(
                    commands_per_second=10.0, burst=8, identity_commands_per_second=2.0, identity_burst=3
                )
            )
            yield world

    async def test_says_when_to_come_again_and_lets_one_in_then(self, world: World) -> None:
        ann = await world.user("ann")
        for _ in range(3):
            done(await ann.get("/rooms"))
        response = await ann.get("/rooms")
        assert refused(response, 429, ErrorCode.RATE_LIMITED) == {"retry_after": 0.5}
        assert response.headers["retry-after"] == "1"
        await world.clock.advance(0.5)
        done(await ann.get("/rooms"))

    async def test_of_one_project_is_not_that_of_another(self, world: World) -> None:
        for _ in range(8):
            done(await world.server().get("/rooms"))
        refused(await world.server().get("/rooms"), 429, ErrorCode.RATE_LIMITED)
        for _ in range(20):
            done(await world.server("beta").get("/rooms"))

    async def test_counts_commands_whatever_became_of_them_and_no_strangers(self, world: World) -> None:
        for _ in range(20):
            assert (await world.nobody().get("/rooms")).status_code == 401
        for _ in range(8):
            refused(await world.server().get("/rooms/none"), 404, ErrorCode.ROOM_NOT_FOUND)
        refused(await world.server().get("/rooms/none"), 429, ErrorCode.RATE_LIMITED)

    async def test_goes_before_the_body_is_read(self, world: World) -> None:
        for _ in range(8):
            done(await world.server().get("/rooms"))
        response = await world.server().send("POST", "/api/v1/rooms", content=b"{" * 1_000_000)
        refused(response, 429, ErrorCode.RATE_LIMITED)


async def test_commands_and_what_is_signed_for_sockets_take_from_the_one_bucket_of_a_node(
    utd_clock: VirtualClock,
) -> None:
    project = {"app_id": APP, "key": KEY, "secrets": [SECRET], "limits": {"commands_per_second": 1, "burst": 3}}
    async with a_node(utd_clock, project=project) as node:
        for _ in range(3):
            assert (await node.http.get("/api/v1/rooms")).status_code == 200
        wish = {"socket_id": "1.2", "channel_name": "private-x"}
        assert (await node.http.post("/api/v1/channels/auth", json=wish)).status_code == 429
