"""What the process logs: by whom it is read, and what is never in it."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_core.server.exchange import REQUEST_ID
from utd_core.server.logs import BLANK, LogFormat, Logs, Redactor
from utd_core.server.registry import _new_secret
from utd_core.server.vault import new_key

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJhcHAiOiJzaG9wIn0.c2lnbmF0dXJlLW9mLWFubg"
log = logging.getLogger("utd_core.server")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Stuck(io.StringIO):
    """A reader that does not read until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def write(self, text: str) -> int:
        self.goes_on.wait(30)
        return super().write(text)


@contextmanager
def written(
    kind: LogFormat = "json", *, stream: io.StringIO | None = None, secrets: tuple[str, ...] = ()
) -> Iterator[list[str]]:
    """The lines of what is logged within; they are there afterwards."""
    stream = stream or io.StringIO()
    lines: list[str] = []
    with Logs(kind, secrets=secrets, stream=stream):
        yield lines
    lines += stream.getvalue().splitlines()


def test_a_line_is_an_object_with_what_was_logged() -> None:
    with written() as lines:
        log.warning("the %s is full", "disk", extra={"room": "lobby", "bytes": 12, "code": ""})
    (line,) = (json.loads(each) for each in lines)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "utd_core.server",
        "message": "the disk is full",
        "room": "lobby",
        "bytes": 12,
    }


def test_a_terminal_gets_plain_lines() -> None:
    with written("auto", stream=Terminal()) as lines:
        log.info("hello")
    assert lines[0].endswith(" INFO    hello")
    with written("auto") as lines:
        log.info("hello")
    assert json.loads(lines[0])["message"] == "hello"


@pytest.mark.parametrize("kind", ["json", "text"])
def test_what_somebody_sent_forges_no_line_and_commands_no_terminal(kind: LogFormat) -> None:
    with written(kind) as lines:
        log.info("refused: %s", "x\r\n12:00:00.000 ERROR   all is lost\x1b[2J")
    (line,) = lines
    assert line.isprintable()
    assert "all is lost" in line


@pytest.mark.parametrize("kind", ["json", "text"])
def test_a_record_has_the_id_of_the_request_that_it_was_made_for(kind: LogFormat) -> None:
    with written(kind) as lines:
        token = REQUEST_ID.set("request-7")
        logging.getLogger("utd_core.engine").warning("slow")
        REQUEST_ID.reset(token)
        log.info("later")
    assert "request-7" in lines[0]
    assert "request-7" not in lines[1]


def test_an_error_has_its_trace_in_the_same_line() -> None:
    with written() as lines:
        try:
            raise ValueError("a\nb")
        except ValueError:
            log.exception("failed")
    (line,) = (json.loads(each) for each in lines)
    assert line["error"].startswith("Traceback")
    assert line["error"].endswith("ValueError: a\nb")


def test_whoever_does_not_read_delays_nobody_and_what_does_not_fit_is_counted() -> None:
    stream = Stuck()
    with Logs("json", stream=stream, capacity=3) as logs:
        for number in range(10):
            log.info("line %s", number)
        stream.goes_on.set()
    # One more may be in the hands of the thread.
    assert logs.dropped in (6, 7)
    assert len(stream.getvalue().splitlines()) == 10 - logs.dropped


def test_a_stream_that_is_gone_fails_nobody() -> None:
    stream = io.StringIO()
    stream.close()
    with Logs("json", stream=stream) as logs:
        log.info("lost")
    assert logs.dropped == 1


def test_levels_and_handlers_are_as_before_afterwards() -> None:
    before = (log.parent.level if log.parent else 0, list(logging.getLogger().handlers))
    with Logs("json", "debug", stream=io.StringIO()):
        assert log.isEnabledFor(logging.DEBUG)
    assert before == (log.parent.level if log.parent else 0, logging.getLogger().handlers)


def test_a_message_whose_arguments_do_not_fit_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Logs("json", stream=io.StringIO()) as logs:
        logs.emit(logging.makeLogRecord({"msg": "%s and %s", "args": ("one",)}))
    assert "not enough arguments" in capsys.readouterr().err


class TestWhatIsNeverLogged:
    @pytest.mark.parametrize("kind", ["json", "text"])
    @pytest.mark.parametrize("secret", ['quo"ted\\secret', "sécret-ü", "plain-secret", "new\nline-secret"])
    def test_a_secret_of_the_server(self, kind: LogFormat, secret: str) -> None:
        with written(kind, secrets=(secret, f"{secret}-older")) as lines:
            log.info("it is %s or %s-older", secret, secret, extra={"also": {"in": [secret]}})
            try:
                raise ValueError(secret)
            except ValueError:
                log.exception("failed")
        assert secret not in "\n".join(lines)
        assert json.dumps(secret, ensure_ascii=False)[1:-1] not in "\n".join(lines)
        assert BLANK in lines[0]

    @settings(max_examples=100)
    @given(st.text(max_size=20), st.sampled_from([TOKEN, "wss://ann:passw0rd@host/path"]), st.text(max_size=20))
    def test_what_looks_like_a_credential(self, before: str, credential: str, after: str) -> None:
        shown = Redactor().text(f"{before} {credential} {after}")
        assert "passw0rd" not in shown
        assert TOKEN.rpartition(".")[2] not in shown

    def test_a_secret_of_a_project_and_the_key_that_encrypts_it(self) -> None:
        """Whichever they are: nobody tells the log."""
        secret, key = _new_secret(), new_key()
        assert Redactor().text(f"secret {secret}, UTD_SECRET_KEY={key}") == f"secret {BLANK}, UTD_SECRET_KEY={BLANK}"
        assert Redactor().text(f'{{"a": "{key}", "b": ["{secret}"]}}') == f'{{"a": "{BLANK}", "b": ["{BLANK}"]}}'

    def test_ordinary_words_stay(self) -> None:
        said = "room lobby: ann took seat 3 at https://rtc.example.com/app/key?x=1@2"
        assert Redactor(["abc"]).text(said) == said
