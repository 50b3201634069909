"""OpenTelemetry traces: a span for each request, command, transaction and call to the media backend.

Needs the extra `otel`, which nothing loads where no trace is asked for.

| span | within | says |
|---|---|---|
| `POST /rooms/{room}/go-live` | whatever the caller's `traceparent` names | route, status, request id |
| `command go_live` | its request, or the code that called `Engine.execute` | project, and how it was refused |
| `commit` | nothing: it is for many; links to the commands that it made durable | how many |
| `media apply_grant` | the command that waits for it, or nothing | how it failed |

A command that another node asks for is within nothing, as nodes do not tell each other of spans. Refusals are answers,
not errors: only what is answered 5xx has the status `ERROR`. No span holds what somebody sent.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import UTDStreamException
from ..media.extras import needs_extra
from ..version import __version__
from .exchange import Exchange

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TracerProvider

Exporter = Literal["otlp", "console"]

_NAME = "utd_core"


class Tracing:
    """Makes the spans of `provider`, by default of the process's own. An `Instrument` of an engine.

    Raises `UTDStreamException` (missing_extra).
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        with needs_extra("tracing", "otel"):
            from opentelemetry import propagate, trace
        self._trace = trace
        self._extract = propagate.extract
        self._tracer = (provider or trace.get_tracer_provider()).get_tracer(_NAME)

    @contextmanager
    def command(self, name: str, app_id: str) -> Iterator[None]:
        with self._span(f"command {name}", {"utd.app_id": app_id}):
            yield

    def origin(self) -> object:
        context = self._trace.get_current_span().get_span_context()
        return context if context.is_valid else None

    @contextmanager
    def commit(self, origins: Sequence[object]) -> Iterator[None]:
        links = [self._trace.Link(each) for each in origins if isinstance(each, self._trace.SpanContext)]
        with self._span("commit", {"utd.commands": len(origins)}, links=links):
            yield

    @contextmanager
    def media(self, call: str) -> Iterator[None]:
        with self._span(f"media {call}", {}, kind=self._trace.SpanKind.CLIENT):
            yield

    def around(self, app: ASGIApp) -> ASGIApp:
        """An application with a span around each of its HTTP requests; `note` has to be among its observers."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            with self._span(scope["method"], {}, context=self._extract(carrier), kind=self._trace.SpanKind.SERVER):
                await app(scope, receive, send)

        return traced

    def note(self, exchange: Exchange) -> None:
        """Say what became of the request whose span is the present one. An `Observer`."""
        span = self._trace.get_current_span()
        if not span.is_recording():
            return
        span.update_name(f"{exchange.method} {exchange.route}".rstrip())
        span.set_attributes(
            {
                "http.request.method": exchange.method,
                "http.route": exchange.route,
                "http.response.status_code": exchange.status,
                "utd.request_id": exchange.request_id,
                "utd.code": exchange.code,
            }
        )
        if exchange.status >= 500:
            span.set_status(self._trace.StatusCode.ERROR, exchange.code)

    @contextmanager
    def _span(
        self,
        name: str,
        attributes: Mapping[str, str | int],
        *,
        kind: SpanKind | None = None,
        links: Sequence[Link] = (),
        context: Context | None = None,
    ) -> Iterator[None]:
        """A span that is the present one inside. How that fails is noted here and not by the library, which would keep
        the message and the trace; those may hold what somebody sent."""
        with self._tracer.start_as_current_span(
            name,
            context,
            self._trace.SpanKind.INTERNAL if kind is None else kind,
            attributes,
            links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except UTDStreamException as error:
                span.set_attribute("utd.code", error.code)
                if error.status_code >= 500:
                    span.set_status(self._trace.StatusCode.ERROR, error.code)
                raise
            except Exception as error:
                span.set_status(self._trace.StatusCode.ERROR, type(error).__name__)
                raise


class Export:
    """Sends the spans of `tracing` elsewhere, in the background, as long as it is open.

    `otlp` sends them by OTLP over HTTP, to where the OTEL_... variables of the environment say (by default to a
    collector on this machine); `console` prints them as JSON. OTEL_SERVICE_NAME names the service, else it is "utd".
    Raises `UTDStreamException` (missing_extra).
    """

    def __init__(self, exporter: Exporter) -> None:
        with needs_extra("tracing", "otel"):
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

            to: SpanExporter
            if exporter == "otlp":
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

                to = OTLPSpanExporter()
            else:
                to = ConsoleSpanExporter(formatter=lambda span: f"{span.to_json(indent=None)}\n")
        named = Resource.create({"service.version": __version__, **({} if _is_named() else {"service.name": "utd"})})
        self._provider = TracerProvider(resource=named)
        self._provider.add_span_processor(BatchSpanProcessor(to))
        self.tracing = Tracing(self._provider)

    async def __aenter__(self) -> Tracing:
        return self.tracing

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is still held is sent, which takes as long as the collector takes.
        await asyncio.to_thread(self._provider.shutdown)


def _is_named() -> bool:
    return "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
