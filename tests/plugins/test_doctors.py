"""What the plugins say of the machine: whether it could run their backend, and how to get there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from utd_core.hooks import Check
from utd_core.hooks.library import check_library
from utd_livekit import plugin as livekit
from utd_livekit.server.binary import _built, cache_folder
from utd_livekit.server.doctor import check_network, check_server
from utd_livekit.server.local import free_port
from utd_webrtc_p2p import plugin as webrtc_p2p

LIVEKIT_VARIABLES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
SECRET = "a-secret-of-at-least-thirty-two-bytes"


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without a LiveKit server; the empty folder is its PATH."""
    for name in LIVEKIT_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_the_libraries_of_this_environment_import() -> None:
    checks = [*webrtc_p2p.utd_doctor(), *livekit.utd_doctor()[:2]]
    assert [check.name for check in checks if check.ok] == ["aiortc", "livekit.rtc", "livekit.api"]
    assert all(check.detail[0].isdigit() for check in checks), "the detail is the version"


def test_a_missing_library_says_what_to_install() -> None:
    check = check_library("no_such_module", distribution="no-such-distribution")
    assert check == Check("no_such_module", False, "not installed", "pip install no-such-distribution")


def test_a_library_that_is_there_and_broken_says_why() -> None:
    check = check_library("aiortc.no_such_module", distribution="aiortc")
    assert not check.ok
    assert "ModuleNotFoundError" in check.detail
    assert "--force-reinstall aiortc" in check.remedy


def test_no_server_says_how_to_get_one(no_server: Path) -> None:
    check = check_server()
    assert not check.ok
    assert "LIVEKIT_URL" in check.remedy
    assert "livekit-server" in check.remedy


def test_a_server_binary_on_path_is_enough(no_server: Path) -> None:
    binary = no_server / "livekit-server"
    binary.touch(mode=0o755)
    assert check_server() == Check("server", True, str(binary))


def test_a_url_needs_its_credentials(no_server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_URL", f"ws://127.0.0.1:{free_port()}")
    monkeypatch.setenv("LIVEKIT_API_KEY", "devkey")
    check = check_server()
    assert not check.ok
    assert "LIVEKIT_API_SECRET" in check.detail
    assert "LIVEKIT_API_KEY" not in check.remedy


@pytest.mark.parametrize("url", ["ws://127.0.0.1:{port}", "nonsense"], ids=["nobody-there", "no-url"])
def test_a_url_of_no_server_says_what_is_wrong_and_shows_no_secret(
    no_server: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    values = (url.format(port=free_port()), "devkey", SECRET)
    for name, value in zip(LIVEKIT_VARIABLES, values, strict=True):
        monkeypatch.setenv(name, value)
    check = check_server()
    assert not check.ok
    assert check.remedy
    assert SECRET not in f"{check}"


def test_the_plugin_of_peer_to_peer_offers_its_backend_without_loading_aiortc() -> None:
    program = (
        "import sys; from utd_core.hooks import PluginManager; manager = PluginManager(allow=['webrtc_p2p']); "
        "manager.load(); (info,) = manager.plugins; assert [one.name for one in info.backends] == ['webrtc_p2p']; "
        "assert manager.spec('webrtc_p2p').requires == ('aiortc',); assert not {'aiortc', 'av'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_a_server_that_was_built_is_enough(no_server: Path) -> None:
    built = _built(cache_folder())
    built.touch(mode=0o755)
    assert check_server() == Check("server", True, str(built))


@pytest.mark.parametrize(
    ("flags", "ok"),
    [
        ({"lo": "0x9"}, False),
        ({"lo": "0x9", "eth0": "0x1002"}, False),
        ({"lo": "0x9", "eth0": "0x1003"}, True),
        ({}, False),
    ],
    ids=["only-loopback", "another-that-is-down", "another-that-is-up", "none"],
)
def test_media_needs_an_interface_besides_loopback(tmp_path: Path, flags: dict[str, str], ok: bool) -> None:
    for name, value in flags.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "flags").write_text(f"{value}\n")
    check = check_network(tmp_path)
    assert check.ok is ok
    assert check.detail == "eth0" if ok else "ip link" in check.remedy
    assert check_network(tmp_path / "elsewhere").ok


def test_the_plugin_of_livekit_offers_its_backend_without_loading_its_library() -> None:
    program = (
        "import sys; from utd_core.hooks import PluginManager; manager = PluginManager(allow=['livekit']); "
        "manager.load(); (info,) = manager.plugins; assert [one.name for one in info.backends] == ['livekit']; "
        "assert not {'livekit', 'av'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_a_doctor_loads_no_media_library_into_its_own_process() -> None:
    program = (
        "import sys; from utd_livekit import plugin as a; from utd_webrtc_p2p import plugin as b; "
        "a.utd_doctor(); b.utd_doctor(); assert not {'livekit', 'aiortc', 'av'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
