"""Which message bus is meant, and whether a plugin's is right.

What raises `PluginError` (`plugin_invalid`) names the plugin, the hook, what is expected and what was found.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..bus import BusSpec, MessageBus
from ..errors import InvalidInput
from .validate import NAME, check_list, invalid, takes, type_of

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,63}\Z")


def check_buses(plugin: str, found: object, taken: Mapping[str, str]) -> tuple[BusSpec, ...]:
    """Check the result of `utd_message_buses`. `taken`: names and `schemes://` that are registered, with the plugin."""
    specs = check_list(plugin, "utd_message_buses", found, BusSpec)
    seen = dict(taken)
    for number, spec in enumerate(specs):
        where = f"utd_message_buses()[{number}]"
        if not isinstance(spec.name, str) or not NAME.match(spec.name):
            raise invalid(plugin, f"{where}: name must be lower case letters, digits, '_' and '-', got {spec.name!r}")
        where = f"{where}, bus {spec.name!r}"
        if not callable(spec.create):
            raise invalid(
                plugin, f"{where}: create must be a function (url, settings) -> MessageBus, got {type_of(spec.create)}"
            )
        if not takes(spec.create, "", {}):
            raise invalid(
                plugin, f"{where}: create must take (url, settings), found create{inspect.signature(spec.create)}"
            )
        for field in ("schemes", "requires"):
            texts = getattr(spec, field)
            if not isinstance(texts, tuple | list) or not all(isinstance(text, str) for text in texts):
                raise invalid(plugin, f"{where}: {field} must be a tuple of text, got {texts!r}")
        for scheme in spec.schemes:
            if not _SCHEME.match(scheme):
                raise invalid(plugin, f"{where}: {scheme!r} is no scheme of a URL; give what stands before '://'")
        for name in (spec.name, *(f"{scheme}://" for scheme in spec.schemes)):
            if name in seen:
                other = seen[name]
                by = "twice by itself" if other == plugin else f"by {other!r} already"
                raise invalid(plugin, f"{where}: {name!r} is registered {by}; choose another", other=other)
            seen[name] = plugin
    return specs


def check_bus(plugin: str, spec: BusSpec, bus: object) -> MessageBus:
    """Check what `spec.create` returned."""
    where = f"bus {spec.name!r}"
    if not isinstance(bus, MessageBus):
        lacking = sorted(name for name in MessageBus.__abstractmethods__ if not hasattr(bus, name))
        lacks = f"; it lacks {', '.join(lacking)}" if lacking else ""
        raise invalid(plugin, f"{where}: create returned {type_of(bus)}, which does not derive from MessageBus{lacks}")
    for name in sorted(MessageBus.__abstractmethods__):
        ours, theirs = getattr(MessageBus, name), getattr(bus, name)
        if inspect.iscoroutinefunction(ours) != inspect.iscoroutinefunction(theirs):
            kind = "'async def'" if inspect.iscoroutinefunction(ours) else "a plain function"
            raise invalid(plugin, f"{where}: {type(bus).__name__}.{name} must be {kind}")
        if not takes(theirs, *_ARGUMENTS.get(name, ()), **_NAMED.get(name, {})):
            expected = inspect.signature(ours)
            raise invalid(
                plugin,
                f"{where}: {type(bus).__name__}.{name} must take {expected}, found {inspect.signature(theirs)}",
            )
    return bus


_ARGUMENTS: Mapping[str, tuple[Any, ...]] = {
    "publish": ("topic", b"message"),
    "subscribe": ("topic", None),
    "unsubscribe": (None,),
}
_NAMED: Mapping[str, Mapping[str, Any]] = {"subscribe": {"interrupted": None}}


def choose(target: str, specs: Iterable[BusSpec]) -> tuple[BusSpec, str]:
    """The bus that a name or a URL means, and the URL (empty for a name). Raises `InvalidInput`.

    A URL may hold a password, so only its scheme is repeated.
    """
    scheme, separator, _ = target.partition("://")
    known: dict[str, BusSpec] = {}
    for spec in specs:
        known |= {f"{each}://": spec for each in spec.schemes} if separator else {spec.name: spec}
    wanted = f"{scheme}://" if separator else target
    if wanted in known:
        return known[wanted], target if separator else ""
    if not separator and not NAME.match(target):
        raise InvalidInput(f"a message bus is named by {', '.join(sorted(known))}, or by a URL with its scheme://")
    close = difflib.get_close_matches(wanted, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(known))}"
    raise InvalidInput(f"no message bus for {wanted[:64]!r}; {hint}; others come with plugins")
