"""OpenTelemetry spans of requests, commands, transactions and media calls."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from utd_core import Engine
from utd_core.engine.instruments import Instruments
from utd_core.errors import ErrorCode, UTDStreamException
from utd_core.model.command import Actor
from utd_core.model.commands import GetRoom
from utd_core.server import App, SingleHost
from utd_core.server.directory import OneProject
from utd_core.server.hosting import Hosting
from utd_core.server.metrics import Metrics
from utd_core.server.tracing import Tracing
from utd_core.store import open_store
from utd_core.testing import VirtualClock

from .nodes import HEADERS, settings

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
JOIN = {"room": "lobby", "type": "audio_room", "identity": "ann", "as_host": True}


class Traced:
    """An engine that is served, and its spans."""

    def __init__(self, engine: Engine, http: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
        self.engine = engine
        self.http = http
        self._exporter = exporter

    def spans(self, name: str) -> Sequence[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.spans(name)
        return span


@pytest.fixture
async def traced(utd_clock: VirtualClock) -> AsyncIterator[Traced]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider)
    project = settings().project
    assert project is not None
    async with Engine("mock", clock=utd_clock, app_id="shop", instrument=Instruments(Metrics(), tracing)) as engine:
        app = App(SingleHost(engine, project.as_project()), observers=[tracing.note])
        transport = httpx.ASGITransport(tracing.around(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://utd", headers=HEADERS) as http:
            yield Traced(engine, http, exporter)
        await app.aclose()
    provider.shutdown()


def parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


async def test_a_request_holds_its_command_which_holds_its_media_call(traced: Traced) -> None:
    await traced.http.post("/api/v1/token", json=JOIN, headers={"traceparent": PARENT})
    request = traced.one("POST /api/v1/token")
    command, media = traced.one("command join_room"), traced.one("media issue_join")
    assert request.parent is not None
    assert f"{request.parent.trace_id:032x}" == PARENT.split("-")[1]
    assert (parent(command), parent(media)) == (id_of(request), id_of(command))
    assert attributes(request)["http.response.status_code"] == 200
    assert attributes(command)["utd.app_id"] == "shop"


async def test_a_transaction_is_nobodys_child_but_names_all_its_commands(traced: Traced) -> None:
    await traced.http.post("/api/v1/token", json=JOIN)
    commit, command = traced.one("commit"), traced.one("command join_room")
    assert parent(commit) is None
    assert [link.context.span_id for link in commit.links] == [id_of(command)]


async def test_the_first_request_of_a_project_is_no_parent_of_what_its_engine_does_ever_after(
    utd_clock: VirtualClock,
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider)
    project = settings().project
    assert project is not None
    async with (
        open_store(":memory:") as store,
        Hosting(OneProject(project.as_project()), store, clock=utd_clock, instrument=tracing) as host,
        App(host, observers=[tracing.note]) as app,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(tracing.around(app)), base_url="http://utd", headers=HEADERS
        ) as http,
    ):
        # It opens the engine, whose tasks go on.
        for _ in range(2):
            await http.post("/api/v1/token", json=JOIN)
    commits = [span for span in exporter.get_finished_spans() if span.name == "commit"]
    assert commits
    assert [parent(commit) for commit in commits] == [None] * len(commits)
    provider.shutdown()


async def test_a_refusal_is_an_answer_and_no_error(traced: Traced) -> None:
    await traced.http.get("/api/v1/rooms/nowhere")
    command, request = traced.one("command get_room"), traced.one("GET /api/v1/rooms/{room}")
    assert attributes(command)["utd.code"] == attributes(request)["utd.code"] == ErrorCode.ROOM_NOT_FOUND
    assert command.status.is_unset
    assert request.status.is_unset


async def test_a_failure_is_an_error_without_its_words(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise UTDStreamException("planted-words", 503)

    monkeypatch.setattr(traced.engine.backend.control, "issue_join", fails)
    await traced.http.post("/api/v1/token", json=JOIN)
    for name in ("media issue_join", "command join_room", "POST /api/v1/token"):
        span = traced.one(name)
        assert not span.status.is_ok
        assert not span.status.is_unset
        assert "planted-words" not in span.to_json()


async def test_no_span_holds_what_somebody_sent(traced: Traced) -> None:
    await traced.http.get("/api/v1/rooms/planted-room?cursor=planted-cursor", headers={"X-App-Id": "planted-app"})
    await traced.http.get("/planted/path", headers={"Authorization": "planted"})
    for span in traced._exporter.get_finished_spans():
        assert "planted" not in span.to_json()


async def test_an_engine_that_is_not_served_is_traced_too(traced: Traced) -> None:
    with pytest.raises(UTDStreamException):
        await traced.engine.execute(GetRoom(room="nowhere"), actor=Actor("ann"))
    assert parent(traced.one("command get_room")) is None


def test_without_the_extra_nothing_is_loaded_and_asking_for_it_says_what_to_install() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None  # as if it were not installed
import utd_core.server.node
from utd_core.server.tracing import Export
try:
    Export("otlp")
except Exception as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "utd-core[otel]" in ran.stdout
