"""A plugin author's mistakes, and the words that name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy
import pytest

from utd_core.errors import ErrorCode, PluginError
from utd_core.hooks import PluginManager, hookimpl, hookspec
from utd_core.media.capabilities import Capabilities
from utd_core.media.faults import Fault

from .plugins import CAPABILITIES, Backend, Plugin, module, spec_of


def refusal(plugin: object, name: str = "acme") -> str:
    """What the author of a wrong plugin reads; nothing of the plugin may stay behind."""
    manager = PluginManager(allow=[], entry_points=[])
    with pytest.raises(PluginError) as caught:
        manager.register(plugin, name)
    assert caught.value.code == ErrorCode.PLUGIN_INVALID
    assert caught.value.message.startswith(f"plugin '{name}': ")
    assert manager.plugins == []
    assert manager.backends == {}
    manager.register(Plugin(spec_of()), name)
    assert set(manager.backends) == {"fine"}, "a corrected plugin can be registered"
    return caught.value.message


def test_a_hook_that_does_not_exist_asks_what_was_meant() -> None:
    @hookimpl
    def utd_media_backend() -> list[object]:
        return []

    said = refusal(module("acme.plugin", utd_media_backend=utd_media_backend))
    assert "hook 'utd_media_backend' does not exist; did you mean 'utd_media_backends'?" in said


def test_a_hook_far_from_any_lists_all() -> None:
    @hookimpl
    def on_startup() -> None: ...

    said = refusal(module("acme.plugin", on_startup=on_startup))
    assert "the hooks are utd_contract_harness, utd_doctor, utd_media_backends, utd_message_buses" in said


def test_a_hook_without_its_mark_is_not_silently_ignored() -> None:
    def utd_doctor() -> list[object]:
        return []

    said = refusal(module("acme.plugin", utd_doctor=utd_doctor))
    assert "utd_doctor begins with 'utd_' and is not a marked hook; mark it with @utd_core.hooks.hookimpl" in said


def test_an_imported_function_is_nobodys_forgotten_hook() -> None:
    def utd_helper() -> None: ...

    utd_helper.__module__ = "somewhere.else"
    plugin = module("acme.plugin")
    plugin.utd_helper = utd_helper  # type: ignore[attr-defined]  # a module made for this
    PluginManager(allow=[], entry_points=[]).register(plugin, "acme")


def test_a_wrong_argument_shows_what_is_expected_and_what_was_found() -> None:
    @hookimpl
    def utd_contract_harness(backend: str, timeout: float = 1.0) -> None: ...

    said = refusal(module("acme.plugin", utd_contract_harness=utd_contract_harness))
    assert "hook 'utd_contract_harness' has no argument 'backend'" in said
    assert "expected utd_contract_harness(name: str) -> Harness | None" in said
    assert "found utd_contract_harness(backend: 'str', timeout: 'float' = 1.0)" in said


def test_arguments_that_are_not_needed_may_be_left_out() -> None:
    @hookimpl
    def utd_contract_harness() -> None: ...

    PluginManager(allow=[], entry_points=[]).register(
        module("acme.plugin", utd_contract_harness=utd_contract_harness), "acme"
    )


def test_a_coroutine_function_is_refused() -> None:
    @hookimpl
    async def utd_doctor() -> list[object]:
        return []

    assert "must be a plain function, found 'async def'" in refusal(module("acme.plugin", utd_doctor=utd_doctor))


def test_a_wrapper_is_refused() -> None:
    @hookimpl(wrapper=True)
    def utd_doctor() -> Any:
        return (yield)

    assert "hook 'utd_doctor' is a wrapper" in refusal(module("acme.plugin", utd_doctor=utd_doctor))


def test_a_plugin_may_implement_a_hook_under_a_name_of_its_own() -> None:
    class Twice(Plugin):
        @hookimpl(specname="utd_media_backends")
        def more(self) -> list[object]:
            return [spec_of("second")]

    manager = PluginManager(allow=[], entry_points=[])
    manager.register(Twice(spec_of("first")), "acme")
    assert set(manager.backends) == {"first", "second"}


def test_an_optional_hook_of_another_version_is_passed_over() -> None:
    @hookimpl(optionalhook=True)
    def utd_hook_of_tomorrow(anything: int) -> None: ...

    plugin = module("acme.plugin", utd_hook_of_tomorrow=utd_hook_of_tomorrow)
    assert PluginManager(allow=[], entry_points=[]).register(plugin, "acme").error is None


def test_what_only_pluggy_sees_is_said_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_pending(self: pluggy.PluginManager) -> None:
        raise pluggy.PluginValidationError(None, "something that pluggy learned\n  to check")

    monkeypatch.setattr(pluggy.PluginManager, "check_pending", check_pending)
    with pytest.raises(PluginError) as caught:
        PluginManager(allow=[], entry_points=[]).register(Plugin(spec_of()), "acme")
    assert caught.value.message == "plugin 'acme': something that pluggy learned to check"


def test_a_class_is_not_an_instance() -> None:
    assert "the class Plugin was registered; register an instance of it" in refusal(Plugin)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "hook 'utd_media_backends' must return a list of BackendSpec, it returned None"),
        (spec_of(), "it returned BackendSpec"),
        ([Backend], "it holds ABCMeta"),
        ({"fine": spec_of()}, "it returned dict"),
    ],
)
def test_a_wrong_return_type_is_named(returned: object, words: str) -> None:
    @hookimpl
    def utd_media_backends() -> object:
        return returned

    assert words in refusal(module("acme.plugin", utd_media_backends=utd_media_backends))


def none_of(settings: object) -> None: ...


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "Fine One"}, "utd_media_backends()[0]: name must be lower case letters"),
        ({"name": 7}, "got 7"),
        ({"capabilities": {"audio": True}}, "backend 'fine': capabilities must be Capabilities, got dict"),
        ({"create": "acme:create"}, "create must be a function (settings, clock) -> MediaBackend, got str"),
        ({"create": none_of}, "create must take (settings, clock), found create(settings: 'object') -> 'None'"),
        ({"faults": {"jitter"}}, "faults must hold utd_core.media.faults.Fault, got 'jitter'"),
        ({"faults": None}, "faults must be a frozenset of Fault, got None"),
        ({"faults": "jitter"}, "faults must be a frozenset of Fault, got 'jitter'"),
        ({"requires": None}, "requires must be a tuple of module names, got None"),
        ({"requires": "aiortc"}, "requires must be a tuple of module names, got 'aiortc'"),
    ],
)
def test_a_wrong_field_of_a_spec_is_named(fields: dict[str, Any], words: str) -> None:
    assert words in refusal(Plugin(spec_of(**fields)))


def test_a_backend_name_that_is_taken_names_both_plugins() -> None:
    manager = PluginManager(allow=[], entry_points=[])
    manager.register(Plugin(spec_of("fine")), "first-come")
    with pytest.raises(
        PluginError, match="plugin 'second-come': backend name 'fine' is registered by plugin 'first-come'"
    ):
        manager.register(Plugin(spec_of("other"), spec_of("fine")), "second-come")
    assert set(manager.backends) == {"fine"}, "a refused plugin leaves nothing, its good backends neither"


def test_a_backend_name_used_twice_by_one_plugin_is_refused() -> None:
    assert "registered twice by itself" in refusal(Plugin(spec_of("fine"), spec_of("fine")))


def made_wrong(create: Callable[..., Any], **fields: Any) -> str:
    manager = PluginManager(allow=[], entry_points=[])
    manager.register(Plugin(spec_of(create=create, **fields)), "acme")
    with pytest.raises(PluginError) as caught:
        manager.create_backend("fine")
    assert caught.value.code == ErrorCode.PLUGIN_INVALID
    return caught.value.message


def test_an_object_that_is_no_backend_is_named_with_what_it_lacks() -> None:
    class Duck:
        async def connect(self) -> None: ...

    said = made_wrong(lambda settings, clock: Duck())
    assert "plugin 'acme': backend 'fine': create returned Duck, which does not derive from MediaBackend" in said
    assert "it lacks aclose, control" in said
    assert "create returned None" in made_wrong(lambda settings, clock: None)


def test_missing_abstract_methods_are_named() -> None:
    class Half(Backend): ...

    Half.__abstractmethods__ = frozenset({"connect", "aclose"})
    said = made_wrong(Half)
    assert said == "plugin 'acme': backend 'fine': class Half lacks the method(s) aclose, connect of MediaBackend"


def test_other_capabilities_than_registered_are_named_one_by_one() -> None:
    class Other(Backend):
        capabilities = Capabilities(video=True, max_data_bytes=10)

    said = made_wrong(Other)
    assert "Other.capabilities is not what the BackendSpec says" in said
    assert "video is True, registered False; max_data_bytes is 10, registered 15000" in said


def test_other_faults_or_another_name_than_registered_are_named() -> None:
    class OtherFaults(Backend):
        faults = frozenset({Fault.JITTER, Fault.SIGNAL_DROP})

    class OtherName(Backend):
        name = "another"

    assert "OtherFaults.faults is not what the BackendSpec says: they differ in signal_drop" in made_wrong(OtherFaults)
    assert "OtherName.name is not what the BackendSpec says: 'another', registered 'fine'" in made_wrong(OtherName)


def test_capabilities_that_are_none_are_named() -> None:
    class Nothing(Backend):
        capabilities = None  # type: ignore[assignment]  # that is the mistake

    assert "Nothing.capabilities is not what the BackendSpec says: None" in made_wrong(Nothing)


def test_the_marks_are_of_this_project() -> None:
    assert hookimpl.project_name == hookspec.project_name == "utd"
    assert CAPABILITIES.video is False
