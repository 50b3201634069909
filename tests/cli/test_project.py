"""`utd project`: what it prints, what it keeps to itself, and how it says that something is wrong."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from utd_core.cli import main
from utd_core.cli.project import _seconds
from utd_core.errors import InvalidInput
from utd_core.server.hosting.vault import VARIABLE, new_key

SECRET = re.compile(r"\b[0-9a-f]{64}\b")

Utd = Callable[..., str]


@pytest.fixture
def utd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Utd:
    """`utd project` where no other server is, with a key; answers what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv(VARIABLE, new_key())

    def run(*arguments: str, status: int = 0) -> str:
        with pytest.raises(SystemExit) as end:
            main(["project", *arguments])
        shown = capsys.readouterr()
        assert (end.value.code or 0) == status, shown.err
        return shown.out if status == 0 else shown.err

    return run


def created(utd: Utd, app_id: str = "shop", *options: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(utd("create", app_id, "--json", *options))
    return made


def shown(utd: Utd, app_id: str = "shop") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(utd("show", app_id, "--json"))
    return found


class TestCreate:
    def test_shows_the_credentials_this_once(self, utd: Utd) -> None:
        (secret,) = SECRET.findall(utd("create", "shop"))
        for command in ("list", "show shop", "suspend shop", "resume shop", "change shop --name Shop"):
            for json_output in ([], ["--json"]):
                assert SECRET.findall(utd(*command.split(), *json_output)) == []
        assert secret.encode() not in b"".join(path.read_bytes() for path in Path().glob("utd.db*"))

    def test_makes_up_an_app_id(self, utd: Utd) -> None:
        made = [json.loads(utd("create", "--json"))["app_id"] for _ in range(2)]
        assert len(set(made)) == 2
        assert sorted(made) == [json.loads(line)["app_id"] for line in utd("list", "--json").splitlines()]

    def test_sets_flags_and_limits(self, utd: Utd) -> None:
        flags = ["--flag", "signaling_enabled=false", "--flag", "messaging_enabled=TRUE"]
        limits = [
            "--limit",
            "max_connections=100",
            "--limit",
            "commands_per_second=2.5",
            "--limit",
            "identity_burst=none",
        ]
        created(utd, "shop", "--name", "Läden", *flags, *limits)
        found = shown(utd)
        assert found["name"] == "Läden"
        assert (found["flags"]["signaling_enabled"], found["flags"]["messaging_enabled"]) == (False, True)
        names = ("max_connections", "commands_per_second", "identity_burst", "burst")
        assert [found["limits"][name] for name in names] == [100, 2.5, None, None]

    def test_takes_over_what_an_embedded_engine_left_only_if_it_is_told(self, utd: Utd) -> None:
        created(utd)
        with sqlite3.connect("utd.db") as database:
            database.execute("DELETE FROM utd_project")
            database.execute("INSERT INTO utd_epoch (project, epoch) VALUES ('shop', 'e')")
        assert "--adopt" in utd("create", "shop", status=1)
        utd("create", "shop", "--adopt")

    def test_of_one_that_is_there_is_refused(self, utd: Utd) -> None:
        created(utd)
        assert "choose another app id" in utd("create", "shop", status=1)


class TestChange:
    def test_leaves_what_is_not_named(self, utd: Utd) -> None:
        created(utd, "shop", "--name", "Shop", "--flag", "signaling_enabled=false", "--limit", "burst=7")
        before = shown(utd)
        utd("change", "shop", "--limit", "max_connections=5")
        after = shown(utd)
        assert after["limits"] == {**before["limits"], "max_connections": 5}
        assert (after["name"], after["flags"], after["version"]) == ("Shop", before["flags"], before["version"] + 1)

    def test_makes_unknown_again(self, utd: Utd) -> None:
        created(utd, "shop", "--flag", "signaling_enabled=false", "--limit", "max_connections=5")
        utd("change", "shop", "--flag", "signaling_enabled=unknown", "--limit", "max_connections=none")
        found = shown(utd)
        assert (found["flags"]["signaling_enabled"], found["limits"]["max_connections"]) == (None, None)

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (["--flag", "signalling_enabled=true"], "did you mean signaling_enabled"),
            (["--flag", "teleport=true"], "there are allow_app_key_identity_mint"),
            (["--flag", "signaling_enabled"], "signaling_enabled=VALUE"),
            (["--flag", "signaling_enabled=maybe"], "true, false, unknown"),
            (["--flag", "allow_app_key_identity_mint=unknown"], "one of true, false, got"),
            (["--limit", "max_connections=many"], "a whole number, or none"),
            (["--limit", "max_connections=1.5"], "a whole number, or none"),
            (["--limit", "max_connections=-1"], "from 0"),
            (["--limit", "commands_per_second=inf"], "from 0"),
            (["--limit", "commands_per_second=nan"], "from 0"),
            ([], "name what is to change"),
        ],
    )
    def test_of_what_there_is_not_changes_nothing(self, utd: Utd, wrong: list[str], said: str) -> None:
        created(utd)
        assert said in utd("change", "shop", *wrong, status=1)
        assert shown(utd)["version"] == 1


class TestRotate:
    def test_shows_the_new_secret_this_once(self, utd: Utd) -> None:
        old = created(utd)
        new = json.loads(utd("rotate", "shop", "--json"))
        assert new["secret"] != old["secret"]
        assert (new["app_id"], new["key"]) == (old["app_id"], old["key"])
        assert SECRET.findall(utd("rotate", "shop", "--finish")) == []

    def test_takes_one_way_of_ending_the_old_one(self, utd: Utd) -> None:
        created(utd)
        assert "one of" in utd("rotate", "shop", "--at-once", "--keep", "1h", status=1)
        for keep in ("1", "h", "-1h", "1w", "1h30m", ""):
            assert "24h" in utd("rotate", "shop", "--keep", keep, status=1)
        assert shown(utd)["version"] == 1

    def test_keeps_the_old_one_for_a_time(self) -> None:
        times = {"90s": 90, "30m": 1_800, "24h": 86_400, "7d": 604_800, "1.5h": 5_400}
        assert {text: _seconds(text) for text in times} == times
        with pytest.raises(InvalidInput):
            _seconds("soon")


def test_suspended_and_back(utd: Utd) -> None:
    created(utd)
    for command, state in (("suspend", True), ("suspend", True), ("resume", False)):
        assert json.loads(utd(command, "shop", "--json"))["suspended"] is state
    utd("suspend", "shop")
    assert "suspended" in utd("list")
    assert re.search(r"state +suspended", utd("show", "shop"))


class TestDelete:
    def test_asks_before_it_does(self, utd: Utd, monkeypatch: pytest.MonkeyPatch) -> None:
        created(utd)
        monkeypatch.setattr("sys.stdin", StringIO("n\n"))
        utd("delete", "shop", "--wait", "0", status=1)
        assert shown(utd)["app_id"] == "shop"

    def test_leaves_nothing_and_lets_the_name_be_used_again(self, utd: Utd) -> None:
        old = created(utd)
        with sqlite3.connect("utd.db") as database:
            database.execute("INSERT INTO utd_epoch (project, epoch) VALUES ('shop', 'e')")
        assert "1 rows deleted" in utd("delete", "shop", "--yes", "--wait", "0")
        assert "no project" in utd("show", "shop", status=1)
        assert created(utd)["key"] != old["key"]

    def test_is_done_again_where_it_was_interrupted(self, utd: Utd) -> None:
        created(utd)
        with sqlite3.connect("utd.db") as database:
            database.execute("DELETE FROM utd_project")
            database.execute("INSERT INTO utd_epoch (project, epoch) VALUES ('shop', 'e')")
        assert "1 rows deleted" in utd("delete", "shop", "--yes", "--wait", "0")


class TestKeys:
    def test_are_made(self, utd: Utd, monkeypatch: pytest.MonkeyPatch) -> None:
        name, _, key = utd("keygen").strip().partition("=")
        assert name == VARIABLE
        monkeypatch.setenv(VARIABLE, key)
        created(utd)

    def test_are_replaced(self, utd: Utd, monkeypatch: pytest.MonkeyPatch) -> None:
        old, new = new_key(), new_key()
        monkeypatch.setenv(VARIABLE, old)
        created(utd)
        monkeypatch.setenv(VARIABLE, f"{new},{old}")
        created(utd, "club")
        assert "2 projects" in utd("reseal")
        monkeypatch.setenv(VARIABLE, new)
        for app_id in ("shop", "club"):
            assert SECRET.findall(utd("rotate", app_id))

    def test_that_are_missing_are_asked_for_only_where_they_are_needed(
        self, utd: Utd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        created(utd)
        monkeypatch.delenv(VARIABLE)
        for command in ("create club", "rotate shop", "rotate shop --finish", "reseal"):
            assert f"{VARIABLE} is not set" in utd(*command.split(), status=1)
        for command in ("list", "show shop", "suspend shop", "change shop --name x", "delete shop --yes --wait 0"):
            utd(*command.split())

    def test_that_are_wrong_are_said_to_be(self, utd: Utd, monkeypatch: pytest.MonkeyPatch) -> None:
        created(utd)
        monkeypatch.setenv(VARIABLE, new_key())
        for command in ("create club", "rotate shop", "rotate shop --finish", "reseal"):
            assert "encrypted with" in utd(*command.split(), status=1)
        assert [json.loads(line)["version"] for line in utd("list", "--json").splitlines()] == [1]
        monkeypatch.setenv(VARIABLE, "planted-and-no-key")
        assert "planted" not in utd("rotate", "shop", status=1)


class TestStore:
    def test_is_that_of_the_settings(self, utd: Utd, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("utd.toml").write_text('store = "of-the-file.db"\n')
        created(utd)
        monkeypatch.setenv("UTD_STORE", "of-the-environment.db")
        created(utd)
        created(utd, "shop", "--store", "of-the-flag.db")
        Path("other.toml").write_text('store = "of-another-file.db"\n')
        monkeypatch.delenv("UTD_STORE")
        created(utd, "shop", "--config", "other.toml")
        made = {path.stem for path in Path().glob("*.db")}
        assert made == {"of-the-file", "of-the-environment", "of-the-flag", "of-another-file"}

    def test_in_memory_is_none(self, utd: Utd) -> None:
        assert "in memory" in utd("list", "--store", ":memory:", status=1)

    def test_with_a_project_in_the_settings_is_said_to_be_for_that_one(
        self, utd: Utd, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path("utd.toml").write_text(
            '[project]\napp_id = "mine"\nkey = "0123456789abcdef"\nsecrets = ["0123456789abcdef"]\n'
        )
        with pytest.raises(SystemExit):
            main(["project", "list"])
        assert "works for that one alone" in capsys.readouterr().err
        assert "take it out of them" in utd("delete", "mine", "--yes", status=1)

    def test_that_is_locked_is_said_to_be(self, utd: Utd, monkeypatch: pytest.MonkeyPatch) -> None:
        created(utd)
        monkeypatch.setattr("utd_core.store.sqlite.BUSY_TIMEOUT", 0.2)
        database = sqlite3.connect("utd.db", isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        try:
            assert "locked" in utd("suspend", "shop", status=1)
        finally:
            database.close()
        assert time.monotonic() - began < 5
        assert shown(utd)["suspended"] is False

    @pytest.mark.parametrize(
        "command", ["show", "suspend", "resume", "rotate", "change --name x", "delete --yes --wait 0"]
    )
    def test_without_the_project_says_where_to_look(self, utd: Utd, command: str) -> None:
        name, *options = command.split()
        assert "`utd project list`" in utd(name, "nobody", *options, status=1)

    def test_with_wrong_settings_says_what_is_wrong(self, utd: Utd, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("UTD_PROT", "1")
        assert "did you mean UTD_PORT" in utd("list", status=1)
