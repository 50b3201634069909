"""The figures of many projects, with a bound on how many of them have a label of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from ...bus import BusStatistics
from ...engine.statistics import EngineStatistics
from ..cluster import ClusterStatistics
from ..pusher import HubStatistics, PusherStatistics
from ..webhooks.statistics import EndpointStatistics
from .readings import Reading

T = TypeVar("T", EngineStatistics, HubStatistics, EndpointStatistics)

OTHERS = "(others)"
"""The label of all projects that have none of their own. No app id is written so."""

_GREATEST = frozenset({"reconcile_lag", "reconcile_lag_max", "refused_for", "age"})
"""Ages: of several, the greatest counts."""


class Figures:
    """Names `most` projects, those that came first; a name is free again when its project is gone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._named: set[str] = set()

    def reading(
        self,
        *,
        engines: Mapping[str, EngineStatistics],
        sockets: PusherStatistics,
        webhooks: Mapping[str, Mapping[str, EndpointStatistics]],
        log_dropped: int,
        is_ready: bool,
        cluster: ClusterStatistics | None = None,
        bus: BusStatistics | None = None,
    ) -> Reading:
        """A reading with these figures; those of projects are by app id."""
        self._name({**engines, **sockets.projects})
        return Reading(
            engines=self._gathered(engines),
            sockets=PusherStatistics(self._gathered(sockets.projects), sockets.refused),
            webhooks=self._told(webhooks),
            log_dropped=log_dropped,
            is_ready=is_ready,
            cluster=cluster,
            bus=bus,
        )

    def _name(self, present: Mapping[str, object]) -> None:
        self._named &= present.keys()
        for app_id in present:
            if len(self._named) >= self._most:
                return
            self._named.add(app_id)

    def _gathered(self, by_project: Mapping[str, T]) -> dict[str, T]:
        own = {app_id: each for app_id, each in by_project.items() if app_id in self._named}
        others = [each for app_id, each in by_project.items() if app_id not in self._named]
        return {**own, OTHERS: total(others)} if others else own

    def _told(
        self, webhooks: Mapping[str, Mapping[str, EndpointStatistics]]
    ) -> dict[str, Mapping[str, EndpointStatistics]]:
        own = {app_id: each for app_id, each in webhooks.items() if app_id in self._named}
        others = [
            figures
            for app_id, endpoints in webhooks.items()
            if app_id not in self._named
            for figures in endpoints.values()
        ]
        return {**own, OTHERS: {OTHERS: total(others)}} if others else own


def total(parts: Iterable[T]) -> T:
    """What all of them are together; there is at least one."""
    each = list(parts)
    kind = type(each[0])
    return kind(
        **{field.name: _of_all(field.name, [getattr(part, field.name) for part in each]) for field in fields(kind)}
    )


def _of_all(name: str, values: list[Any]) -> Any:
    if isinstance(values[0], Mapping):
        counted: Counter[Any] = Counter()
        for value in values:
            counted.update(value)
        return counted
    return max(values) if name in _GREATEST else sum(values)
