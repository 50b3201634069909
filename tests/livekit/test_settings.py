"""The backend's settings, and what it is without a server's credentials."""

from __future__ import annotations

from typing import Any

import pytest

from utd_core.errors import InvalidInput, Unsupported
from utd_livekit.backend import LiveKitBackend
from utd_livekit.settings import LiveKitSettings

SERVER: dict[str, Any] = {"url": "wss://livekit.example", "api_key": "key", "api_secret": "secret"}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"uri": "wss://livekit.example"}, "no setting 'uri'"),
        ({"url": "wss://livekit.example"}, "comes with 'api_key' and 'api_secret'"),
        ({**SERVER, "url": "livekit.example"}, "must be a URL"),
        ({**SERVER, "url": "ftp://livekit.example"}, "must be a URL"),
        ({**SERVER, "url": "ws://[::1"}, "must be a URL"),
        ({**SERVER, "api_key": 7}, "must be a string"),
        ({**SERVER, "webhooks": "8080"}, "a host and a port"),
        ({**SERVER, "webhooks": "127.0.0.1:0"}, "a host and a port"),
        ({**SERVER, "webhooks": "127.0.0.1:http"}, "a host and a port"),
        ({**SERVER, "timeout": 0}, "seconds above 0"),
        ({**SERVER, "timeout": float("nan")}, "seconds above 0"),
        ({**SERVER, "server": "localhost"}, "must be a LocalServer"),
        ({**SERVER, "local": True}, "comes without"),
        ({"local": "yes"}, "true or false"),
        ({"local": True, "faults": 1}, "true or false"),
        ({**SERVER, "faults": True}, "a 'url' without TLS"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(sorted(value)),
)
def test_a_wrong_setting_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        LiveKitBackend(given)


def test_the_environment_is_read_as_livekits_own_tools_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVER.items():
        monkeypatch.setenv(f"LIVEKIT_{name.upper()}", value)
    assert LiveKitSettings.read({"prefix": "shop-"}) == LiveKitSettings(**SERVER, prefix="shop-")


def test_the_secret_is_not_shown() -> None:
    settings = LiveKitSettings.read({**SERVER, "api_secret": "hush-hush"})
    assert "hush-hush" not in f"{settings} {settings!r}"


def test_without_credentials_there_is_no_control_half() -> None:
    backend = LiveKitBackend({})
    with pytest.raises(Unsupported, match="LIVEKIT_API_SECRET"):
        _ = backend.control
