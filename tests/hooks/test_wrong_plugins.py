"""How a plugin can be wrong: each way is one `PluginError` for its author, and changes nothing for the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from utd_core.engine import Engine
from utd_core.errors import ErrorCode, PluginError
from utd_core.hooks import PluginManager, hookimpl
from utd_core.media.backend import BackendSpec

from .plugins import Backend, Plugin, spec_of


class WithoutItsConnectingHalf(Backend):
    """Forgot a method that every backend has."""


WithoutItsConnectingHalf.__abstractmethods__ = frozenset({"connect"})


class WrongSignature:
    @hookimpl
    def utd_media_backends(self, clock: object) -> list[BackendSpec]:
        return []


class WrongHook:
    @hookimpl
    def utd_media_backend(self) -> list[BackendSpec]:
        return []


class Raising:
    @hookimpl
    def utd_media_backends(self) -> list[BackendSpec]:
        raise ZeroDivisionError("oops")


def unfit(settings: object, clock: object) -> object:
    raise KeyError("api_key")


AT_REGISTRATION: dict[str, tuple[object, ErrorCode, str]] = {
    "wrong_signature": (WrongSignature(), ErrorCode.PLUGIN_INVALID, "utd_media_backends"),
    "unknown_hook": (WrongHook(), ErrorCode.PLUGIN_INVALID, "utd_media_backends"),
    "duplicate_name": (Plugin(spec_of("fine")), ErrorCode.PLUGIN_INVALID, "'fine' is registered by plugin 'good'"),
    "exception_in_a_hook": (Raising(), ErrorCode.PLUGIN_FAILED, "raised ZeroDivisionError: oops"),
}
AT_CREATION: dict[str, tuple[Callable[..., Any], ErrorCode, str]] = {
    "missing_method": (WithoutItsConnectingHalf, ErrorCode.PLUGIN_INVALID, "lacks the method(s) connect"),
    "exception": (unfit, ErrorCode.PLUGIN_FAILED, "raised KeyError: 'api_key'"),
}


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> PluginManager:
    """One good plugin, which is all that engines see."""
    manager = PluginManager(allow=[], entry_points=[])
    manager.register(Plugin(spec_of("fine")), "good")
    monkeypatch.setattr("utd_core.engine.engine.default_manager", lambda: manager)
    return manager


def check(error: PluginError, code: ErrorCode, says: str) -> None:
    assert (error.code, error.status_code) == (code, 500)
    assert error.message.startswith("plugin 'bad'")
    assert says in error.message


@pytest.mark.parametrize("mistake", AT_REGISTRATION)
def test_a_plugin_that_is_wrong_is_kept_out_with_everything_it_brought(manager: PluginManager, mistake: str) -> None:
    plugin, code, says = AT_REGISTRATION[mistake]
    before = manager.plugins, manager.backends
    with pytest.raises(PluginError) as caught:
        manager.register(plugin, "bad")
    check(caught.value, code, says)
    assert (manager.plugins, manager.backends) == before
    assert not [answer for answer in manager.checks() if answer[0] == "bad"]
    assert isinstance(manager.create_backend("fine"), Backend)
    manager.register(Plugin(spec_of("bad")), "bad")


@pytest.mark.parametrize("mistake", AT_CREATION)
async def test_an_engine_on_a_backend_that_is_wrong_is_told_why_and_nothing_is_left_open(
    manager: PluginManager, mistake: str
) -> None:
    create, code, says = AT_CREATION[mistake]
    manager.register(Plugin(spec_of("bad", create)), "bad")
    before = manager.plugins, manager.backends
    for _ in range(2):
        with pytest.raises(PluginError) as caught:
            await Engine("bad").__aenter__()
        check(caught.value, code, says)
    assert (manager.plugins, manager.backends) == before
    assert isinstance(manager.create_backend("fine"), Backend)
