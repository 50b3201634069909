"""The settings of `utd serve`: three sources, one model, and a sentence for whatever is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from utd_core.errors import InvalidInput
from utd_core.server.settings import ServerSettings

SECRET, TOKEN, PASSWORD, MEDIA_SECRET = "hush-hush-secret", "metrics-token-77", "db-passw0rd", "livekit-s3cret"
PROJECT = {"app_id": "shop", "key": "k" * 16, "secrets": [SECRET]}
FILE = f"""
port = 9000
log_level = "debug"

[project]
app_id = "shop"
key = "kkkkkkkkkkkkkkkk"
secrets = ["{SECRET}", "older-secret-of-shop"]

[project.flags]
messaging_enabled = true

[engine]
ticket_ttl = 30
"""


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.toml"
    path.write_text(FILE)
    return path


def problems(flags: dict[str, Any] | None = None, file: Path | None = None) -> list[str]:
    """What is wrong with the settings, a sentence each."""
    with pytest.raises(InvalidInput) as caught:
        ServerSettings.load(flags, file=file)
    found: list[str] = caught.value.details.get("problems", [caught.value.message])
    return found


class TestSources:
    def test_without_any_there_are_defaults(self) -> None:
        settings = ServerSettings.load()
        assert (settings.host, settings.port, settings.project) == ("127.0.0.1", 8080, None)

    def test_a_file_is_read(self, file: Path) -> None:
        settings = ServerSettings.load(file=file)
        assert (settings.port, settings.engine.ticket_ttl, settings.engine.return_grace) == (9000, 30.0, 20.0)
        assert settings.project is not None
        project = settings.project.as_project()
        assert (project.app_id, project.secret, project.flags.messaging_enabled) == ("shop", SECRET, True)
        assert project.has_secret("older-secret-of-shop")

    def test_utd_toml_is_read_where_it_is(self, empty_folder: Path) -> None:
        (empty_folder / "utd.toml").write_text("port = 9001")
        assert ServerSettings.load().port == 9001

    def test_the_environment_names_another_file(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("UTD_CONFIG", str(file))
        assert ServerSettings.load().port == 9000

    def test_the_environment_goes_over_the_file_and_flags_over_both(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("UTD_PORT", "9002")
        monkeypatch.setenv("UTD_ENGINE__LEAVE_LINGER", "5")
        settings = ServerSettings.load({"engine": {"leave_linger": "6"}}, file=file)
        assert (settings.port, settings.engine.leave_linger, settings.engine.ticket_ttl) == (9002, 6.0, 30.0)

    def test_lists_in_the_environment_are_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("UTD_SOCKETS__ORIGINS", '["https://a.example.com"]')
        monkeypatch.setenv("UTD_HTTP__TRUSTED_PROXIES", '["10.0.0.0/8", "unix"]')
        settings = ServerSettings.load()
        assert settings.sockets.origins == {"https://a.example.com"}
        assert settings.http.trusted_proxies == ("10.0.0.0/8", "unix")

    def test_defaults_of_the_caller_are_below_all(self, file: Path) -> None:
        settings = ServerSettings.load(file=file, defaults={"port": 1, "host": "::1"})
        assert (settings.port, settings.host) == (9000, "::1")


class TestProblems:
    def test_each_is_told_with_the_place_that_it_comes_from(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file.write_text(FILE.replace("port = 9000", 'port = "many"'))
        monkeypatch.setenv("UTD_LOG_FORMAT", "xml")
        found = problems({"engine": {"ticket_ttl": "soon"}}, file)
        assert len(found) == 3
        assert any(each.startswith("port ") and "some.toml" in each for each in found)
        assert any("log_format" in each and "the environment" in each for each in found)
        assert any("engine.ticket_ttl" in each and "a flag" in each for each in found)

    def test_a_setting_that_there_is_not(self) -> None:
        assert problems({"prot": 1, "engine": {"tikcet_ttl": 1}}) == [
            "engine.tikcet_ttl there is no such setting (a flag)",
            "prot there is no such setting (a flag)",
        ]

    def test_a_variable_that_looks_like_a_setting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("UTD_PROT", "1")
        assert problems() == ["UTD_PROT is no setting; did you mean UTD_PORT?"]

    def test_a_part_that_is_missing(self) -> None:
        assert problems({"project": {"app_id": "shop", "key": "k" * 16}}) == ["project.secrets is missing"]

    def test_limits_that_the_parts_check_themselves(self) -> None:
        assert "ticket_ttl must be a number above zero" in problems({"engine": {"ticket_ttl": -1}})[0]

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        assert "cannot be read: No such file" in problems(file=tmp_path / "none.toml")[0]

    def test_a_file_that_is_no_toml(self, file: Path) -> None:
        file.write_text("port = = 1")
        assert "some.toml is no TOML" in problems(file=file)[0]

    @pytest.mark.parametrize("value", [SECRET, [SECRET], {"a": SECRET}])
    def test_no_wrong_value_is_repeated(self, value: Any) -> None:
        for wrong in ({"metrics_token": [value]}, {"project": {**PROJECT, "secrets": {"a": value}}}, {"port": value}):
            assert SECRET not in "".join(problems(wrong))


class TestShowing:
    def test_no_secret_is_shown(self) -> None:
        settings = ServerSettings.load(
            {
                "project": PROJECT,
                "metrics_token": TOKEN,
                "store": f"postgresql://utd:{PASSWORD}@db/utd",
                "media_settings": {"api_secret": MEDIA_SECRET, "nested": {"deep": "er-secret"}},
            }
        )
        shown = settings.as_toml()
        for secret in (SECRET, TOKEN, PASSWORD, MEDIA_SECRET, "er-secret"):
            assert secret not in shown
            assert secret not in repr(settings.project)
            assert secret in set(settings.secrets())

    def test_what_is_shown_is_a_file_that_says_the_same(self, file: Path, tmp_path: Path) -> None:
        settings = ServerSettings.load({"sockets": {"origins": ["https://b", "https://a"]}}, file=file)
        again = tmp_path / "again.toml"
        again.write_text(settings.as_toml())
        read = ServerSettings.load(file=again)
        assert read.as_toml() == settings.as_toml()
        assert tomllib.loads(settings.as_toml())["sockets"]["origins"] == ["https://a", "https://b"]
        assert (read.engine, read.http, read.sockets) == (settings.engine, settings.http, settings.sockets)
