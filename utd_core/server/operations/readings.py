"""What a node tells about itself when Prometheus asks: figures that are counted elsewhere, as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from ...bus import BusStatistics
from ...engine.statistics import EngineStatistics
from ...version import __version__
from ..cluster import ClusterStatistics
from ..pusher import CloseCode, HubStatistics, PusherStatistics
from ..webhooks.statistics import EndpointStatistics

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading:
    """Figures of this moment, and counters since the node began. `engines` are by app id, `webhooks` by app id and
    endpoint. `log_dropped`: lines that did not fit into the log's queue. `is_ready`: the node takes requests."""

    engines: Mapping[str, EngineStatistics] = field(default_factory=dict)
    sockets: PusherStatistics = field(default_factory=lambda: PusherStatistics({}, {}))
    webhooks: Mapping[str, Mapping[str, EndpointStatistics]] = field(default_factory=dict)
    log_dropped: int = 0
    is_ready: bool = True
    cluster: ClusterStatistics | None = None
    bus: BusStatistics | None = None

    def collect(self) -> Iterator[Metric]:
        """The metrics; this makes it a registry for `prometheus_client.generate_latest`."""
        yield InfoMetricFamily("utd_build", "The version that runs.", {"version": __version__})
        yield GaugeMetricFamily("utd_ready", "1 where the node takes requests.", float(self.is_ready))
        yield CounterMetricFamily("utd_log_dropped", "Lines of the log that were not written.", self.log_dropped)
        engines = [((app_id,), statistics) for app_id, statistics in self.engines.items()]
        yield from (figure.family(("project",), engines) for figure in _ENGINE)
        hubs = [((app_id,), statistics) for app_id, statistics in self.sockets.projects.items()]
        yield from (figure.family(("project",), hubs) for figure in _SOCKETS)
        yield from self._closed()
        yield from self._told()
        if self.cluster is not None:
            yield from (figure.family((), [((), self.cluster)]) for figure in _CLUSTER)
        if self.bus is not None:
            yield from (figure.family((), [((), self.bus)]) for figure in _BUS)

    def _told(self) -> Iterator[Metric]:
        endpoints = [
            ((app_id, endpoint), statistics)
            for app_id, by_endpoint in self.webhooks.items()
            for endpoint, statistics in by_endpoint.items()
        ]
        return (figure.family(("project", "endpoint"), endpoints) for figure in _WEBHOOKS)

    def _closed(self) -> Iterator[Metric]:
        closed = CounterMetricFamily(
            "utd_connections_closed", "Sockets that the server ended, by close code.", labels=("project", "code")
        )
        for app_id, hub in self.sockets.projects.items():
            for code, count in hub.closed.items():
                closed.add_metric((app_id, str(code)), count)
        refused = CounterMetricFamily(
            "utd_connections_refused", "Sockets that were not let in, by close code.", labels=("code",)
        )
        for code, count in self.sockets.refused.items():
            refused.add_metric((str(code),), count)
        yield from (closed, refused)


@dataclass(frozen=True, slots=True)
class _Figure(Generic[T]):
    """One metric: how its value is read out of the statistics of somebody."""

    name: str
    meaning: str
    read: Callable[[T], float]
    counts: bool = False

    def family(self, label_names: tuple[str, ...], found: Iterable[tuple[Sequence[str], T]]) -> Metric:
        kind = CounterMetricFamily if self.counts else GaugeMetricFamily
        family = kind(self.name, self.meaning, labels=label_names)
        for labels, statistics in found:
            family.add_metric(labels, self.read(statistics))
        return family


_ENGINE: tuple[_Figure[EngineStatistics], ...] = (
    _Figure("utd_rooms", "Rooms with somebody in them.", lambda each: each.rooms),
    _Figure("utd_calls", "Calls that go on.", lambda each: each.calls),
    _Figure("utd_participants", "People in rooms.", lambda each: each.participants),
    _Figure("utd_resident", "Rooms and calls in memory.", lambda each: each.resident),
    _Figure("utd_commands_waiting", "Commands that are not decided yet.", lambda each: each.waiting),
    _Figure("utd_commits", "Transactions of the store.", lambda each: each.commits, counts=True),
    _Figure("utd_events", "Events in them.", lambda each: each.events, counts=True),
    _Figure(
        "utd_store_refused_seconds",
        "Since when the store has taken no transaction that was tried; 0 where it took the last one.",
        lambda each: each.refused_for,
    ),
    _Figure(
        "utd_reconcile_waiting",
        "People whose permission at the media backend is not yet what it should be.",
        lambda each: each.reconcile_waiting,
    ),
    _Figure("utd_reconcile_lag_seconds", "Since when the first of them has waited.", lambda each: each.reconcile_lag),
    _Figure(
        "utd_reconcile_failures",
        "Calls to the media backend that failed and are tried again.",
        lambda each: each.reconcile_failures,
        counts=True,
    ),
)

_SOCKETS: tuple[_Figure[HubStatistics], ...] = (
    _Figure("utd_connections", "Sockets.", lambda each: each.connections),
    _Figure("utd_users", "Users who are signed in on a socket.", lambda each: each.users),
    _Figure("utd_channels", "Channels that somebody follows.", lambda each: each.channels),
    _Figure("utd_subscriptions", "Places in all of them.", lambda each: each.subscriptions),
    _Figure("utd_queued_bytes", "What waits for sockets that read slowly.", lambda each: each.queued),
    _Figure("utd_connected", "Sockets that ever were.", lambda each: each.connected, counts=True),
    _Figure("utd_deliveries", "Events that were handed to sockets.", lambda each: each.delivered, counts=True),
    _Figure("utd_client_events", "Events of clients that were sent on.", lambda each: each.client_events, counts=True),
    _Figure(
        "utd_dropped",
        "Sockets that were cut off because they did not read fast enough.",
        lambda each: each.closed.get(CloseCode.TOO_SLOW, 0),
        counts=True,
    ),
)

_WEBHOOKS: tuple[_Figure[EndpointStatistics], ...] = (
    _Figure("utd_outbox_waiting", "Events that a webhook has not taken yet.", lambda each: each.waiting),
    _Figure("utd_outbox_age_seconds", "Since the oldest of them happened.", lambda each: each.age),
    _Figure("utd_webhook_dead", "Events that were given up and are kept.", lambda each: each.dead),
    _Figure("utd_webhook_delivered", "Events that a webhook took.", lambda each: each.delivered, counts=True),
    _Figure("utd_webhook_failed", "Tries that failed.", lambda each: each.failed, counts=True),
)

_CLUSTER: tuple[_Figure[ClusterStatistics], ...] = (
    _Figure("utd_held_projects", "Projects that this node works for.", lambda each: each.holds),
    _Figure("utd_asked_holders", "Projects for which it asks another node.", lambda each: each.asks),
    _Figure("utd_forwarded", "Commands that another node was asked to do.", lambda each: each.forwarded, counts=True),
    _Figure("utd_answered", "Commands that were done for another node.", lambda each: each.answered, counts=True),
    _Figure("utd_holder_lost", "Times that another holder had to be found.", lambda each: each.lost, counts=True),
    _Figure(
        "utd_made_way",
        "Projects that were left to other nodes, as they could not ask this one.",
        lambda each: each.made_way,
        counts=True,
    ),
)

_BUS: tuple[_Figure[BusStatistics], ...] = (
    _Figure("utd_bus_connected", "1 where the other nodes can be reached.", lambda each: float(each.connected)),
    _Figure("utd_bus_published", "Messages to other nodes, and to this one.", lambda each: each.published, counts=True),
    _Figure("utd_bus_heard", "Messages that were heard here.", lambda each: each.heard, counts=True),
    _Figure("utd_bus_dropped", "Messages that somebody here was too slow for.", lambda each: each.dropped, counts=True),
    _Figure(
        "utd_bus_interruptions",
        "Times that the connection was lost, and messages with it.",
        lambda each: each.interruptions,
        counts=True,
    ),
)
