"""Message buses that plugins bring, and the mistakes of their authors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from utd_core.bus import BusSpec, BusStatistics, Hear, Interrupted, Listener, LocalMessages, MessageBus
from utd_core.bus.redis import RedisMessages
from utd_core.errors import ErrorCode, InvalidInput, PluginError, UTDStreamException
from utd_core.hooks import PluginManager, hookimpl


class Acme(LocalMessages):
    """A bus of somebody else's."""

    def __init__(self, url: str, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.url = url
        self.settings = settings


def spec_of(name: str = "acme", create: Callable[..., Any] = Acme, **fields: Any) -> BusSpec:
    return BusSpec(**{"name": name, "summary": "for tests", "create": create, "schemes": ("acme",), **fields})


class Plugin:
    """Offers what it is given as its buses."""

    def __init__(self, found: Any) -> None:
        self.found = found

    @hookimpl
    def utd_message_buses(self) -> Any:
        return self.found


def manager_with(*specs: BusSpec) -> PluginManager:
    manager = PluginManager(allow=[], entry_points=[])
    if specs:
        manager.register(Plugin(list(specs)), "acme-plugin")
    return manager


def test_local_and_redis_are_there_without_any_plugin() -> None:
    manager = manager_with()
    assert list(manager.buses) == ["local", "redis"]
    assert manager.plugins == []
    assert type(manager.create_bus("local")) is LocalMessages
    for target in ("redis", "redis://:secret@host:6380/1", "rediss://host", "unix:///run/redis.sock"):
        assert type(manager.create_bus(target, {"prefix": "mine", "patience": 1})) is RedisMessages


def test_a_bus_is_chosen_by_name_or_by_the_scheme_of_its_url() -> None:
    manager = manager_with(spec_of(schemes=("acme", "acme+tls")))
    by_name = manager.create_bus("acme", {"size": 3})
    by_url = manager.create_bus("acme+tls://host/x")
    assert isinstance(by_name, Acme)
    assert isinstance(by_url, Acme)
    assert (by_name.url, by_name.settings) == ("", {"size": 3})
    assert (by_url.url, by_url.settings) == ("acme+tls://host/x", {})
    assert manager.create_bus(by_url) is by_url


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("redsi", "no message bus for 'redsi'; did you mean 'redis'?"),
        ("redsi://:s3cr3t@host", "no message bus for 'redsi://'; did you mean 'redis"),
        ("carrier-pigeon", "there are local, redis"),
        (":s3cr3t@host", "a message bus is named by local, redis, or by a URL"),
        ("", "a message bus is named by"),
    ],
)
def test_a_bus_that_nobody_offers_is_named_without_what_may_be_a_password(target: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        manager_with().create_bus(target)
    assert says in caught.value.message
    assert "s3cr3t" not in caught.value.message


@pytest.mark.parametrize(
    ("target", "settings", "says"),
    [
        ("local", {"prefix": "x"}, "the bus 'local' has no setting 'prefix'; it has none"),
        ("redis", {"prefx": "x"}, "the bus 'redis' has no setting 'prefx'; it has patience, prefix"),
        ("redis", {"prefix": 7}, "prefix must be text"),
        ("redis", {"patience": "long"}, "patience must be a number"),
        ("redis", {"patience": True}, "patience must be a number"),
        ("redis", {"patience": 0}, "above zero"),
    ],
)
def test_settings_that_a_bus_does_not_have_are_refused(target: str, settings: Mapping[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        manager_with().create_bus(target, settings)
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "hook 'utd_message_buses' must return a list of BusSpec, it returned None"),
        ([Acme], "hook 'utd_message_buses' must return a list of BusSpec, it holds "),
        ([spec_of("Acme")], "utd_message_buses()[0]: name must be lower case"),
        (
            [spec_of("acme", "acme")],  # type: ignore[arg-type]  # wrong on purpose
            "create must be a function (url, settings) -> MessageBus, got str",
        ),
        ([spec_of(create=lambda url: None)], "create must take (url, settings), found create(url)"),
        ([spec_of(schemes="acme")], "schemes must be a tuple of text, got 'acme'"),
        ([spec_of(schemes=("acme://",))], "'acme://' is no scheme of a URL; give what stands before '://'"),
        ([spec_of(requires="acme")], "requires must be a tuple of text, got 'acme'"),
        ([spec_of("redis")], "'redis' is registered by 'utd-core' already"),
        ([spec_of(schemes=("rediss",))], "'rediss://' is registered by 'utd-core' already"),
        ([spec_of(), spec_of("other")], "utd_message_buses()[1], bus 'other': 'acme://' is registered twice by itself"),
    ],
)
def test_a_wrong_registration_is_refused_as_a_whole(found: Any, says: str) -> None:
    manager = PluginManager(allow=[], entry_points=[])
    with pytest.raises(PluginError) as caught:
        manager.register(Plugin(found), "acme-plugin")
    assert caught.value.code == ErrorCode.PLUGIN_INVALID
    assert caught.value.message.startswith("plugin 'acme-plugin': ")
    assert says in caught.value.message
    assert list(manager.buses) == ["local", "redis"]
    manager.register(Plugin([spec_of()]), "acme-plugin")
    assert "acme" in manager.buses, "a corrected plugin can be registered"


class Half(MessageBus):
    """Forgot most of it."""

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...


class Blocking(Acme):
    def publish(self, topic: str, message: bytes) -> int:  # type: ignore[override]  # wrong on purpose
        return 0


class Deaf(Acme):
    """Was written for a protocol without gaps."""

    async def subscribe(self, topic: str, hear: Hear) -> Listener:  # type: ignore[override]  # wrong on purpose
        raise AssertionError("not asked for")


class Stranger:
    """Has all the methods but one, and does not derive."""

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...

    async def publish(self, topic: str, message: bytes) -> int:
        return 0

    async def subscribe(self, topic: str, hear: Hear, *, interrupted: Interrupted | None = None) -> None: ...

    def unsubscribe(self, listener: Listener) -> None: ...


def _unfit(url: str, settings: Mapping[str, Any]) -> MessageBus:
    raise KeyError("broker")


@pytest.mark.parametrize(
    ("create", "code", "says"),
    [
        (lambda url, settings: None, ErrorCode.PLUGIN_INVALID, "create returned None, which does not derive"),
        (lambda url, settings: Stranger(), ErrorCode.PLUGIN_INVALID, "derive from MessageBus; it lacks statistics"),
        (
            lambda url, settings: Half(),  # type: ignore[abstract]  # wrong on purpose
            ErrorCode.PLUGIN_INVALID,
            "class Half lacks the method(s) publish, statistics, subscribe, unsubscribe of MessageBus",
        ),
        (Blocking, ErrorCode.PLUGIN_INVALID, "Blocking.publish must be 'async def'"),
        (Deaf, ErrorCode.PLUGIN_INVALID, "Deaf.subscribe must take (self, topic"),
        (_unfit, ErrorCode.PLUGIN_FAILED, "create of bus 'acme' raised KeyError: 'broker'"),
    ],
)
def test_a_wrong_bus_is_refused_when_it_is_made(create: Callable[..., Any], code: ErrorCode, says: str) -> None:
    manager = manager_with(spec_of(create=create))
    with pytest.raises(PluginError) as caught:
        manager.create_bus("acme")
    assert caught.value.code == code
    assert "plugin 'acme-plugin'" in caught.value.message
    assert says in caught.value.message


def test_a_refusal_of_the_bus_itself_reaches_the_application() -> None:
    def refuse(url: str, settings: Mapping[str, Any]) -> MessageBus:
        raise InvalidInput("acme needs a queue name")

    with pytest.raises(InvalidInput, match="acme needs a queue name"):
        manager_with(spec_of(create=refuse)).create_bus("acme")


def test_a_library_that_is_missing_is_named() -> None:
    manager = manager_with(spec_of(requires=("no_such_module_anywhere",), distribution="acme-utd"))
    with pytest.raises(UTDStreamException, match="bus 'acme' needs no_such_module_anywhere") as caught:
        manager.create_bus("acme://host")
    assert caught.value.code == ErrorCode.MISSING_EXTRA
    assert "pip install acme-utd" in caught.value.message


def test_statistics_are_part_of_the_interface() -> None:
    figures: BusStatistics = manager_with().create_bus("local").statistics()
    assert not figures.connected
