"""What comes with utd-core itself, offered like a plugin's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..bus import BusSpec, LocalMessages, MessageBus
from ..errors import InvalidInput
from .spec import hookimpl

NAME = "utd-core"


@hookimpl
def utd_message_buses() -> list[BusSpec]:
    return [
        BusSpec(name="local", summary="one node alone, in its process", create=_local),
        BusSpec(
            name="redis",
            summary="nodes that share a Redis, over its pub/sub",
            create=_redis,
            schemes=("redis", "rediss", "unix"),
            requires=("redis",),
            distribution='"utd-core[redis]"',
        ),
    ]


def _local(url: str, settings: Mapping[str, Any]) -> MessageBus:
    _check_settings("local", settings, ())
    return LocalMessages()


def _redis(url: str, settings: Mapping[str, Any]) -> MessageBus:
    from ..bus.redis import RedisMessages
    from ..bus.redis.address import DEFAULT
    from ..bus.redis.messages import PATIENCE, PREFIX

    _check_settings("redis", settings, ("patience", "prefix"))
    prefix, patience = settings.get("prefix", PREFIX), settings.get("patience", PATIENCE)
    if not isinstance(prefix, str):
        raise InvalidInput(f"bus setting prefix must be text, got {prefix!r}")
    if isinstance(patience, bool) or not isinstance(patience, int | float):
        raise InvalidInput(f"bus setting patience must be a number of seconds, got {patience!r}")
    return RedisMessages(url or DEFAULT, prefix=prefix, patience=patience)


def _check_settings(bus: str, settings: Mapping[str, Any], known: Collection[str]) -> None:
    for name in settings:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise InvalidInput(f"the bus {bus!r} has no setting {name!r}; {has}")
