"""Figures of a node for Prometheus, in a registry of its own.

What is counted elsewhere (engines, sockets, webhooks) is read when somebody asks for it; only times are measured here,
as an `Instrument` of the engines and an observer of the requests. docs/how-to/deploy.md has the table of the names.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from time import perf_counter
from types import TracebackType

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, ProcessCollector, generate_latest

from ...engine.instruments import Work
from ...errors import ErrorCode, UTDStreamException
from ..exchange import Exchange
from .readings import Reading

CONTENT_TYPE = CONTENT_TYPE_LATEST

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds."""


class Metrics:
    """An `Instrument`; `note` is an `Observer`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = self._times("utd_request", "From a request to its answer.", "operation", "status")
        self._commands = self._times("utd_command", "From a command to its answer.", "command", "result")
        self._commits = self._times("utd_commit", "Transactions of the store.", "result")
        self._media = self._times("utd_media", "Calls to the media backend.", "call", "result")

    def page(self, reading: Reading) -> bytes:
        """Everything, in the format that Prometheus reads."""
        return generate_latest(self._registry) + generate_latest(reading)

    def note(self, exchange: Exchange) -> None:
        operation = exchange.command or exchange.route or "other"
        self._requests.observe(exchange.seconds, operation, str(exchange.status))

    def command(self, name: str, app_id: str) -> Work:
        return _Timed(self._commands, name)

    def origin(self) -> object:
        return None

    def commit(self, origins: Sequence[object]) -> Work:
        return _Timed(self._commits)

    def media(self, call: str) -> Work:
        return _Timed(self._media, call)

    def _times(self, name: str, meaning: str, *labels: str) -> _Times:
        return _Times(Histogram(f"{name}_seconds", meaning, labels, registry=self._registry, buckets=BUCKETS))


class _Times:
    """A histogram; the library takes longer to find a series than to count in it, so the found ones are kept."""

    __slots__ = ("_histogram", "_series")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._series: dict[tuple[str, ...], Histogram] = {}

    def observe(self, seconds: float, *labels: str) -> None:
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._histogram.labels(*labels)
        series.observe(seconds)


class _Timed(AbstractContextManager[None]):
    """Work that is timed. Its result is `ok`, an error code, or `gone` where its caller did not wait for the end."""

    __slots__ = ("_began", "_labels", "_times")

    def __init__(self, times: _Times, *labels: str) -> None:
        self._times = times
        self._labels = labels

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._times.observe(perf_counter() - self._began, *self._labels, _result(error))


def _result(error: BaseException | None) -> str:
    if error is None:
        return "ok"
    if isinstance(error, UTDStreamException):
        return error.code
    return ErrorCode.INTERNAL.value if isinstance(error, Exception) else "gone"
