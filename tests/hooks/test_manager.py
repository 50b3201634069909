"""Finding, loading and choosing plugins."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from utd_core.bus import BusSpec, LocalMessages
from utd_core.concurrency import Clock, SystemClock
from utd_core.errors import BackendNotFound, ErrorCode, InvalidInput, PluginError, UTDStreamException
from utd_core.hooks import Check, Harness, PluginManager, default_manager, hookimpl
from utd_core.media.backend import BackendSpec, MediaBackend
from utd_core.testing import VirtualClock

from .plugins import Backend, Installed, Plugin, spec_of


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    monkeypatch.delenv("UTD_PLUGINS", raising=False)
    return Installed(monkeypatch)


@pytest.fixture(autouse=True)
def fresh_default_manager() -> Iterator[None]:
    default_manager.cache_clear()
    yield
    default_manager.cache_clear()


def manager_of(installed: Installed) -> PluginManager:
    return PluginManager(entry_points=installed.entry_points)


def test_hook_utd_media_backends_offers_backends_by_name(installed: Installed) -> None:
    installed.add("one", Plugin(spec_of("first"), spec_of("second")))
    installed.add("two", Plugin(spec_of("third")))
    manager = manager_of(installed)
    assert set(manager.backends) == {"first", "second", "third"}
    assert [(info.name, [spec.name for spec in info.backends]) for info in manager.plugins] == [
        ("one", ["first", "second"]),
        ("two", ["third"]),
    ]


def test_hook_utd_message_buses_offers_buses_by_name_beside_those_of_the_core(installed: Installed) -> None:
    class Buses:
        @hookimpl
        def utd_message_buses(self) -> list[BusSpec]:
            return [BusSpec(name="acme", summary="for tests", create=lambda url, settings: LocalMessages())]

    installed.add("one", Buses())
    installed.add("two", Plugin(spec_of("third")))
    manager = manager_of(installed)
    assert list(manager.buses) == ["local", "redis", "acme"]
    assert [[spec.name for spec in info.buses] for info in manager.plugins] == [["acme"], []]
    assert isinstance(manager.create_bus("acme"), LocalMessages)


def test_a_backend_keeps_the_name_of_its_plugin_whoever_is_loaded_first(installed: Installed) -> None:
    installed.add("able", Plugin(spec_of("mock"), spec_of("spare")))
    installed.add("mock", Plugin(spec_of("mock")))
    manager = manager_of(installed)
    assert set(manager.backends) == {"mock"}
    able, mock = manager.plugins
    assert able.error is not None
    assert "'mock' is registered by plugin 'mock'" in able.error.message
    assert mock.error is None


def test_hook_utd_doctor_collects_checks_of_each_plugin(installed: Installed) -> None:
    class Doctor:
        @hookimpl
        def utd_doctor(self) -> list[Check]:
            return [Check("camera", ok=False, remedy="plug it in")]

    installed.add("one", Doctor())
    installed.add("two", Plugin())
    assert manager_of(installed).checks() == [("one", Check("camera", ok=False, remedy="plug it in"))]


async def test_hook_utd_contract_harness_of_the_plugin_that_answers_is_taken(installed: Installed) -> None:
    opened: list[Clock] = []

    @asynccontextmanager
    async def own(clock: Clock) -> AsyncIterator[MediaBackend]:
        opened.append(clock)
        yield Backend({"server": "started"}, clock)

    class WithHarness(Plugin):
        @hookimpl
        def utd_contract_harness(self, name: str) -> Harness | None:
            return own if name == "first" else None

    installed.add("one", WithHarness(spec_of("first"), spec_of("fine")))
    manager = manager_of(installed)
    clock = VirtualClock()
    async with manager.contract_harness("first")(clock) as backend:
        assert isinstance(backend, Backend)
        assert backend.settings == {"server": "started"}
    assert opened == [clock]
    async with manager.contract_harness("fine")(clock) as backend:
        assert isinstance(backend, Backend)
        assert (backend.settings, backend.clock) == ({}, clock)
    assert backend.closed
    with pytest.raises(BackendNotFound):
        manager.contract_harness("nothing")


def test_a_harness_that_fails_is_the_error_of_its_own_plugin_and_nobody_elses(installed: Installed) -> None:
    class Failing(Plugin):
        @hookimpl
        def utd_contract_harness(self, name: str) -> Harness | None:
            raise RuntimeError("no server")

    class Wrong(Plugin):
        @hookimpl
        def utd_contract_harness(self) -> Harness | None:
            return 42 if self.specs else None  # type: ignore[return-value]  # that is the mistake

    installed.add("failing", Failing(spec_of("first")))
    installed.add("fine", Plugin(spec_of("fine")))
    manager = manager_of(installed)
    manager.contract_harness("fine")
    with pytest.raises(
        PluginError, match="plugin 'failing': hook 'utd_contract_harness' raised RuntimeError: no server"
    ):
        manager.contract_harness("first")
    manager.register(Wrong(spec_of("second")), "wrong")
    with pytest.raises(PluginError, match="must return a callable, it returned 42"):
        manager.contract_harness("second")


def test_a_backend_is_made_with_its_settings_and_clock(installed: Installed) -> None:
    installed.add("one", Plugin(spec_of()))
    clock = VirtualClock()
    backend = manager_of(installed).create_backend("fine", {"answer": 42}, clock)
    assert isinstance(backend, Backend)
    assert (backend.settings, backend.clock) == ({"answer": 42}, clock)
    assert isinstance(manager_of(installed).create_backend("fine").clock, SystemClock)  # type: ignore[attr-defined]


def test_an_instance_passes_through_unchanged(installed: Installed) -> None:
    backend = Backend({}, SystemClock())
    assert manager_of(installed).create_backend(backend) is backend


def test_nothing_is_loaded_before_it_is_asked_for(installed: Installed) -> None:
    installed.add("broken", "no_such_module_at_all")
    manager = manager_of(installed)
    assert manager._plugins == {}
    assert [info.name for info in manager.plugins] == ["broken"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, {"one", "two"}), ("", set()), ("two", {"two"}), (" one , two,", {"one", "two"})],
    ids=["unset", "empty", "one", "list"],
)
def test_the_environment_chooses(
    installed: Installed, monkeypatch: pytest.MonkeyPatch, value: str | None, expected: set[str]
) -> None:
    installed.add("one", Plugin(spec_of("one")))
    installed.add("two", Plugin(spec_of("two")))
    if value is not None:
        monkeypatch.setenv("UTD_PLUGINS", value)
    assert set(manager_of(installed).backends) == expected


def test_two_threads_that_load_at_once_both_find_the_plugin_that_one_is_still_loading(installed: Installed) -> None:
    asked, answer = threading.Event(), threading.Event()

    class Slow(Plugin):
        @hookimpl
        def utd_media_backends(self) -> list[BackendSpec]:
            asked.set()
            assert answer.wait(10)
            return self.specs

    installed.add("one", Slow(spec_of("first")))
    manager = manager_of(installed)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(manager.spec("first").name)) for _ in range(2)]
    threads[0].start()
    assert asked.wait(10)
    threads[1].start()
    threads[1].join(0.05)  # long enough to have answered wrongly
    answer.set()
    for thread in threads:
        thread.join(10)
    assert found == ["first", "first"]


def test_a_plugin_that_is_not_allowed_is_not_imported(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UTD_PLUGINS", "two")
    installed.add("one", "no_such_module_at_all")
    installed.add("two", Plugin(spec_of("two")))
    assert [info.error for info in manager_of(installed).plugins] == [None]


def test_a_name_in_the_allow_list_that_is_not_installed_is_shown(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UTD_PLUGINS", "livekit")
    (info,) = manager_of(installed).plugins
    assert info.error is not None
    assert "UTD_PLUGINS names the plugin 'livekit'" in info.error.message
    assert "pip install utd-livekit" in info.error.message


def test_an_unknown_backend_lists_the_installed_ones_and_how_to_get_it(installed: Installed) -> None:
    installed.add("one", Plugin(spec_of("first"), spec_of("second")))
    manager = manager_of(installed)
    for name, hint in (
        ("livekit", "pip install utd-livekit"),
        ("webrtc_p2p", "pip install utd-webrtc-p2p"),
        ("frist", "did you mean 'first'?"),
        ("carrier-pigeon", "an entry point of the group 'utd'"),
    ):
        with pytest.raises(BackendNotFound) as caught:
            manager.create_backend(name)
        assert "installed: first, second" in caught.value.message
        assert hint in caught.value.message
        assert caught.value.code == ErrorCode.BACKEND_NOT_FOUND
        assert caught.value.details["installed"] == ["first", "second"]


def test_a_backend_left_out_by_the_allow_list_is_said_to_be(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UTD_PLUGINS", "")
    installed.add("mock", Plugin(spec_of("mock")))
    with pytest.raises(BackendNotFound, match="'mock' is installed, but UTD_PLUGINS leaves it out"):
        manager_of(installed).spec("mock")


def test_a_backend_of_a_broken_plugin_raises_what_is_broken(installed: Installed) -> None:
    installed.add("livekit", "no_such_module_at_all")
    installed.add("one", Plugin(spec_of("first")))
    manager = manager_of(installed)
    with pytest.raises(PluginError, match="importing no_such_module_at_all raised ModuleNotFoundError") as caught:
        manager.create_backend("livekit")
    assert caught.value.code == ErrorCode.PLUGIN_FAILED
    assert "first" in manager.backends, "the others work"
    with pytest.raises(BackendNotFound, match="kept out by an error: livekit"):
        manager.create_backend("other")


def test_an_exception_in_a_hook_names_plugin_and_hook_and_stops_no_other(installed: Installed) -> None:
    class Failing:
        @hookimpl
        def utd_media_backends(self) -> list[BackendSpec]:
            raise ZeroDivisionError("oops")

    class FailingDoctor(Plugin):
        @hookimpl
        def utd_doctor(self) -> list[Check]:
            raise OSError("disk on fire")

    installed.add("a-failing", Failing())
    installed.add("b-doctor", FailingDoctor(spec_of("second")))
    installed.add("c-fine", Plugin(spec_of("third")))
    manager = manager_of(installed)
    assert set(manager.backends) == {"second", "third"}
    error = {info.name: info.error for info in manager.plugins}["a-failing"]
    assert error is not None
    assert error.message == "plugin 'a-failing': hook 'utd_media_backends' raised ZeroDivisionError: oops"
    assert error.code == ErrorCode.PLUGIN_FAILED
    said = dict(manager.checks())
    assert "ZeroDivisionError" in said["a-failing"].detail
    assert said["b-doctor"].detail == "plugin 'b-doctor': hook 'utd_doctor' raised OSError: disk on fire"


def test_a_doctor_that_returns_something_else_is_a_failed_check(installed: Installed) -> None:
    class Wrong:
        @hookimpl
        def utd_doctor(self) -> list[Check]:
            return ["fine"]  # type: ignore[list-item]  # that is the mistake

    installed.add("one", Wrong())
    ((_, check),) = manager_of(installed).checks()
    assert not check.ok
    assert "must return a list of Check, it holds str" in check.detail


def test_two_plugins_of_one_name_are_told_apart(installed: Installed) -> None:
    installed.add("one", Plugin(spec_of("first")))
    installed.add("one", Plugin(spec_of("second")))
    (info,) = manager_of(installed).plugins
    assert info.error is not None
    assert "a plugin of this name is registered already" in info.error.message


def test_a_missing_library_says_what_to_install(installed: Installed) -> None:
    installed.add(
        "one", Plugin(spec_of("first", requires=("no_such_library.sub", "asyncio"), distribution="utd-first"))
    )
    with pytest.raises(UTDStreamException, match=r"needs no_such_library\.sub; pip install utd-first") as caught:
        manager_of(installed).create_backend("first")
    assert caught.value.code == ErrorCode.MISSING_EXTRA


def test_a_refusal_of_the_settings_is_the_plugins_own(installed: Installed) -> None:
    def create(settings: object, clock: object) -> MediaBackend:
        raise InvalidInput("no setting 'colour'")

    installed.add("one", Plugin(spec_of(create=create)))
    with pytest.raises(InvalidInput, match="colour"):
        manager_of(installed).create_backend("fine", {"colour": "red"})


def test_an_exception_in_create_names_the_plugin_and_the_backend(installed: Installed) -> None:
    def create(settings: object, clock: object) -> MediaBackend:
        raise KeyError("api_key")

    installed.add("one", Plugin(spec_of(create=create)))
    with pytest.raises(PluginError, match="plugin 'one': create of backend 'fine' raised KeyError: 'api_key'"):
        manager_of(installed).create_backend("fine")


def test_the_installed_mock_is_found_by_its_entry_point() -> None:
    manager = PluginManager(allow=["mock"])
    (info,) = manager.plugins
    assert (info.name, info.distribution, info.error) == ("mock", "utd-mock", None)
    assert info.version
    assert manager.create_backend("mock", {}, VirtualClock()).name == "mock"


def test_the_default_manager_is_one_and_reads_the_environment_when_first_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UTD_PLUGINS", "mock")
    assert default_manager() is default_manager()
    assert [info.name for info in default_manager().plugins] == ["mock"]


def test_importing_the_hooks_loads_no_plugin_and_showing_them_no_media_library() -> None:
    program = (
        "import sys; import utd_core.hooks as h; "
        "assert not [m for m in sys.modules if m.startswith(('utd_mock', 'utd_livekit', 'utd_webrtc'))]; "
        "h.default_manager().plugins; assert not {'livekit', 'aiortc', 'av', 'numpy'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
