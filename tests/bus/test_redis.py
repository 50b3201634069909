"""A bus over Redis, whose Redis goes away, freezes and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.proxy import LOOPBACK, Proxy
from tests.redis import RedisServer, SharedRedis, free_port
from tests.tls import Authority
from utd_core.bus import Questions
from utd_core.bus.redis import RedisMessages
from utd_core.errors import Closed, InvalidInput, Unavailable
from utd_core.testing.buses import PATIENCE, Ear

SHORT = 0.4
"""Seconds that a bus is patient where a test waits for the end of it."""

Pair = tuple[RedisMessages, RedisMessages]


@pytest.fixture
async def pair(redis_server: RedisServer) -> AsyncIterator[Pair]:
    """Two nodes on a Redis of their own."""
    async with RedisMessages(redis_server.url) as one, RedisMessages(redis_server.url) as other:
        yield one, other


async def until_up(*buses: RedisMessages) -> None:
    async with asyncio.timeout(PATIENCE):
        while not all(bus.statistics().connected for bus in buses):
            await asyncio.sleep(0.005)


async def say_until_heard(bus: RedisMessages, ear: Ear, message: bytes) -> None:
    """Both ends come back by themselves, one before the other."""
    async with asyncio.timeout(PATIENCE):
        while message not in ear.heard:
            with contextlib.suppress(Unavailable):
                await bus.publish("a", message)
            await asyncio.sleep(0.01)


async def test_a_restart_of_redis_is_told_to_every_listener_before_anything_that_came_after_it(
    redis_server: RedisServer, pair: Pair
) -> None:
    one, other = pair
    ears = [Ear(), Ear()]
    await other.subscribe("a", ears[0].hear, interrupted=ears[0].interrupted)
    await other.subscribe("b", ears[1].hear, interrupted=ears[1].interrupted)
    await one.publish("a", b"before")
    assert await ears[0].has_heard(b"before")
    await asyncio.to_thread(redis_server.restart)
    await say_until_heard(one, ears[0], b"after")
    assert ears[0].heard[:3] == [b"before", b"<gap>", b"after"]
    assert await ears[1].has_heard(b"<gap>")
    assert other.statistics().interruptions == 1


async def test_messages_that_flow_while_redis_stops_and_starts_are_heard_in_order_and_none_twice(
    redis_server: RedisServer, pair: Pair
) -> None:
    one, other = pair
    ear, acknowledged, failed = Ear(), [], 0
    await other.subscribe("a", ear.hear, interrupted=ear.interrupted)
    ending = False

    async def flow() -> None:
        nonlocal failed
        number = 0
        while not ending:
            number += 1
            try:
                if await one.publish("a", b"%d" % number):
                    acknowledged.append(number)
            except Unavailable:
                failed += 1
            await asyncio.sleep(0)

    flowing = asyncio.ensure_future(flow())
    for times in range(1, 4):
        enough = len(ear.heard) + 20
        await ear.has(lambda heard, enough=enough: len(heard) > enough)  # type: ignore[misc]  # bound now
        await asyncio.to_thread(redis_server.stop)
        await asyncio.to_thread(redis_server.start)
        await ear.has(lambda heard, times=times: heard.count(b"<gap>") >= times)  # type: ignore[misc]  # bound now
        await until_up(one, other)
    ending = True
    await flowing
    await say_until_heard(one, ear, b"0")
    numbers = [int(message) for message in ear.heard if message != b"<gap>"][:-1]
    assert all(before < after for before, after in pairwise(numbers)), "in order, none twice"
    # What reached a node and was not heard lies in a gap.
    lost = sorted(set(acknowledged) - set(numbers))
    holes = sum(1 for before, after in pairwise([-1, *lost]) if after != before + 1)
    assert holes <= ear.heard.count(b"<gap>"), "every hole was told"
    assert failed >= 1


async def test_publishing_while_redis_is_away_waits_for_it_a_bounded_time_and_then_fails_at_once(
    redis_server: RedisServer,
) -> None:
    async with RedisMessages(redis_server.url, patience=SHORT) as bus:
        await asyncio.to_thread(redis_server.stop)
        for operation in (bus.publish, bus.publish):
            began = time.monotonic()
            with pytest.raises(Unavailable, match="it cannot be reached"):
                await operation("a", b"1")
            assert time.monotonic() - began < SHORT + 5
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(Unavailable):
                await bus.publish("a", b"1")
        ear = Ear()
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(Unavailable):
                await bus.publish("a", b"1")
            with pytest.raises(Unavailable):
                await bus.subscribe("a", ear.hear)
        assert time.monotonic() - began < SHORT + 5, "once it is away for long, nobody waits"
        assert bus.statistics().listeners == 0
        await asyncio.to_thread(redis_server.start)
        await until_up(bus)
        await bus.subscribe("a", ear.hear)
        assert await bus.publish("a", b"1") == 1


async def test_a_short_absence_is_waited_for(redis_server: RedisServer, pair: Pair) -> None:
    one, _ = pair
    await asyncio.to_thread(redis_server.stop)
    async with asyncio.timeout(PATIENCE):
        while one.statistics().connected:
            await asyncio.sleep(0.001)
    waiting = asyncio.ensure_future(one.publish("a", b"1"))
    await asyncio.to_thread(redis_server.start)
    assert await waiting == 0


async def test_a_redis_that_says_nothing_any_more_is_given_up_and_found_again(redis_server: RedisServer) -> None:
    url = redis_server.url
    async with RedisMessages(url, patience=SHORT) as one, RedisMessages(url, patience=SHORT) as other:
        ear = Ear()
        await other.subscribe("a", ear.hear, interrupted=ear.interrupted)
        redis_server.freeze()
        with pytest.raises(Unavailable, match="it does not answer"):
            await one.publish("a", b"1")
        # Nobody asks anything of the other one, and yet it notices.
        async with asyncio.timeout(PATIENCE):
            while other.statistics().connected:
                await asyncio.sleep(0.01)
        redis_server.thaw()
        await ear.has(lambda heard: b"<gap>" in heard)
        await say_until_heard(one, ear, b"2")
        assert ear.heard.count(b"1") <= 1, "what was sent into the silence is not sent again"


async def test_opening_without_redis_fails_in_bounded_time_and_leaves_nothing(redis_server: RedisServer) -> None:
    await asyncio.to_thread(redis_server.stop)
    bus = RedisMessages(redis_server.url, patience=SHORT)
    with pytest.raises(Unavailable, match="it cannot be reached"):
        await bus.open()
    await bus.aclose()


async def test_whoever_subscribes_while_redis_is_away_listens_when_it_is_back(
    redis_server: RedisServer, pair: Pair
) -> None:
    one, other = pair
    await asyncio.to_thread(redis_server.stop)
    async with asyncio.timeout(PATIENCE):
        while other.statistics().connected:
            await asyncio.sleep(0.001)
    ear = Ear()
    subscribing = asyncio.ensure_future(other.subscribe("a", ear.hear))
    await asyncio.to_thread(redis_server.start)
    await subscribing
    assert await one.publish("a", b"1") == 1
    assert await ear.has_heard(b"1")


async def test_a_thousand_topics_are_followed_again_after_a_restart(redis_server: RedisServer, pair: Pair) -> None:
    one, other = pair
    ears = [Ear() for _ in range(1_000)]
    await asyncio.gather(
        *(other.subscribe(f"{number}", ear.hear, interrupted=ear.interrupted) for number, ear in enumerate(ears))
    )
    await asyncio.to_thread(redis_server.restart)
    for ear in ears:
        assert await ear.has_heard(b"<gap>")
    await until_up(one, other)
    assert sum(await asyncio.gather(*(one.publish(f"{number}", b"1") for number in range(1_000)))) == 1_000
    for ear in ears:
        assert await ear.has_heard(b"<gap>", b"1")


async def test_a_question_whose_answer_is_lost_with_redis_fails_before_its_time(
    redis_server: RedisServer, pair: Pair
) -> None:
    one, other = pair
    asked, forever = asyncio.Event(), asyncio.Event()

    async def think(_: bytes) -> bytes:
        asked.set()
        await forever.wait()
        return b""

    async with Questions(one) as asker, Questions(other) as answerer:
        await answerer.answer("q", think)
        asking = asyncio.ensure_future(asker.ask("q", b"", 1_000_000))
        await asked.wait()
        await asyncio.to_thread(redis_server.restart)
        with pytest.raises(Unavailable, match="the way to the other nodes was lost"):
            async with asyncio.timeout(PATIENCE):
                await asking


async def test_cancelled_publishers_disturb_nobody(redis: SharedRedis) -> None:
    prefix = redis.prefix()
    async with RedisMessages(redis.url, prefix=prefix) as bus:
        ear = Ear()
        await bus.subscribe("a", ear.hear)
        for number in range(50):
            publishing = [asyncio.ensure_future(bus.publish("a", b"%d" % number)) for _ in range(3)]
            await asyncio.sleep(0)
            publishing[1].cancel()
            assert await publishing[0] == await publishing[2] == 1
            await asyncio.wait(publishing)
        assert bus.statistics().interruptions == 0


async def test_prefixes_keep_systems_apart(redis: SharedRedis) -> None:
    one, other = RedisMessages(redis.url, prefix="one"), RedisMessages(redis.url, prefix="other")
    async with one, other:
        ear = Ear()
        await one.subscribe("a", ear.hear)
        assert await other.publish("a", b"1") == 0
        assert await one.publish("a", b"2") == 1
        assert await ear.has_heard(b"2")


NODE = """
import asyncio, sys
from utd_core.bus import Questions
from utd_core.bus.redis import RedisMessages

async def main(url, prefix):
    over = asyncio.Event()
    async with RedisMessages(url, prefix=prefix) as bus, Questions(bus) as questions:
        async def hear(message):
            await bus.publish("back", message)
            if message == b"end":
                over.set()
        async def double(payload):
            return payload * 2
        await bus.subscribe("there", hear)
        await questions.answer("double", double)
        print("ready", flush=True)
        await over.wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_talk_and_a_killed_one_is_missed_at_once(redis: SharedRedis) -> None:
    prefix = redis.prefix()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", NODE, redis.url, prefix, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()).strip() == b"ready"
    async with RedisMessages(redis.url, prefix=prefix) as bus, Questions(bus) as questions:
        ear = Ear()
        await bus.subscribe("back", ear.hear)
        for number in range(500):
            assert await bus.publish("there", b"%d" % number) == 1
        heard = await ear.has(lambda heard: len(heard) >= 500)
        assert heard == [b"%d" % number for number in range(500)] or pytest.fail("not in order")
        assert await questions.ask("double", b"ab", PATIENCE) == b"abab"
        process.kill()
        await process.wait()
        async with asyncio.timeout(PATIENCE):
            while await bus.publish("there", b"anybody?"):
                continue


async def test_a_wrong_password_is_named_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    server = RedisServer(requirepass="hunter2hunter2", port=free_port())
    caplog.set_level(logging.DEBUG)
    try:
        await asyncio.to_thread(server.start)
        wrong = (
            f"unix://:s3cr3t-guess@{server.socket}",
            f"unix://{server.socket}?password=s3cr3t-guess",
            server.tcp_url(":s3cr3t-guess@"),
            server.tcp_url(),
        )
        for url in wrong:
            bus = RedisMessages(url, patience=60)
            try:
                with pytest.raises(Unavailable, match="does not take the user or the password") as caught:
                    await bus.open()
            finally:
                await bus.aclose()
            assert "s3cr3t" not in f"{caught.value!r} {caught.value.details}"
        async with RedisMessages(server.tcp_url("default:hunter2hunter2@") + "/0?protocol=2") as bus:
            assert await bus.publish("a", b"1") == 0
            await asyncio.to_thread(server.restart)
            with contextlib.suppress(Unavailable):
                await bus.publish("a", b"1")
            await until_up(bus)
        assert "s3cr3t" not in caplog.text
        assert "hunter2" not in caplog.text
    finally:
        server.close()


async def test_tls_is_spoken_and_the_certificate_is_looked_at(redis: SharedRedis, tmp_path: Path) -> None:
    authority, path = Authority(tmp_path), redis.url.removeprefix("unix://")
    async with Proxy(lambda: asyncio.open_unix_connection(path), tls=authority.server()) as proxy:
        url = f"rediss://{LOOPBACK}:{proxy.port}"
        stranger = RedisMessages(url, patience=60)
        with pytest.raises(Unavailable, match="its certificate is not one to trust"):
            await stranger.open()
        await stranger.aclose()
        async with RedisMessages(f"{url}?ssl_ca_certs={authority.path}", prefix=redis.prefix()) as bus:
            ear = Ear()
            await bus.subscribe("a", ear.hear)
            assert await bus.publish("a", b"1") == 1
            assert await ear.has_heard(b"1")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://:s3cr3t/x@host", "cannot be read"),
        ("redis://:s3cr3t@[::1", "cannot be read"),
        ("http://:s3cr3t@host", "http:// is no address of a Redis"),
        ("s3cr3t", "no scheme:// is no address of a Redis"),
        ("unix://", "needs the path of a socket"),
        ("redis://:s3cr3t@host?s3cr3t_option=1", "redis://host is no address of a Redis with options that it has"),
        ("redis://:s3cr3t@host?socket_timeout=s3cr3t", "redis://host is no address of a Redis"),
    ],
)
def test_a_wrong_url_is_explained_without_what_may_be_a_password(url: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        RedisMessages(url)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("settings", [{"prefix": ""}, {"prefix": "a\nb"}, {"patience": 0}, {"patience": -1.0}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        RedisMessages("redis://host", **settings)  # type: ignore[arg-type]  # wrong on purpose


async def test_closing_while_redis_is_frozen_takes_no_longer_than_its_patience(redis_server: RedisServer) -> None:
    bus = RedisMessages(redis_server.url)
    await bus.open()
    ear = Ear()
    redis_server.freeze()
    waiting = [
        asyncio.ensure_future(work) for work in (bus.publish("a", b"1" * 3_000_000), bus.subscribe("a", ear.hear))
    ]
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await bus.aclose()
    assert time.monotonic() - began < 2
    assert [type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == [Closed, Closed]
