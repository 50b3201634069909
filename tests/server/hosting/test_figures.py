"""What the figures of several projects are together."""

from __future__ import annotations

from utd_core.engine.statistics import EngineStatistics
from utd_core.server.operations.figures import OTHERS, Figures, total
from utd_core.server.operations.readings import Reading
from utd_core.server.pusher import PusherStatistics
from utd_core.server.webhooks import EndpointStatistics


def test_counts_are_added_and_of_ages_the_greatest_counts() -> None:
    engines = [EngineStatistics(rooms=number, reconcile_lag=float(number)) for number in (2, 5, 3)]
    assert (total(engines).rooms, total(engines).reconcile_lag) == (10, 5.0)
    commands = [
        EngineStatistics(commands={("a", "ok"): 1}),
        EngineStatistics(commands={("a", "ok"): 2, ("b", "ok"): 1}),
    ]
    assert total(commands).commands == {("a", "ok"): 3, ("b", "ok"): 1}
    assert total(
        [EndpointStatistics(waiting=1, age=7.0), EndpointStatistics(waiting=2, age=3.0)]
    ) == EndpointStatistics(waiting=3, age=7.0)


def reading(figures: Figures, *app_ids: str) -> Reading:
    return figures.reading(
        engines={app_id: EngineStatistics(rooms=1) for app_id in app_ids},
        sockets=PusherStatistics({}, {}),
        webhooks={app_id: {"hook": EndpointStatistics(waiting=1)} for app_id in app_ids},
        log_dropped=0,
        is_ready=True,
    )


def test_a_project_keeps_its_label_as_long_as_it_is_there() -> None:
    figures = Figures(2)
    assert list(reading(figures, "b", "c").engines) == ["b", "c"]
    later = reading(figures, "a", "b", "c", "d")
    assert {app_id: each.rooms for app_id, each in later.engines.items()} == {"b": 1, "c": 1, OTHERS: 2}
    assert later.webhooks[OTHERS] == {OTHERS: EndpointStatistics(waiting=2)}
    assert set(reading(figures, "a", "c", "d").engines) == {"a", "c", OTHERS}


def test_with_no_label_at_all_everything_is_summed_up() -> None:
    assert {app_id: each.rooms for app_id, each in reading(Figures(0), "a", "b").engines.items()} == {OTHERS: 2}
