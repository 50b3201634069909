"""States in a bounded queue: only the last one that waits counts."""

from __future__ import annotations

from utd_core.concurrency import BoundedQueue, Overflow, QueueStatistics


async def test_a_state_takes_the_place_of_the_newest_if_that_is_one_of_its_kind() -> None:
    queue: BoundedQueue[object] = BoundedQueue(3, Overflow.CLOSE)
    for item in (1.0, 2.0, 3.0):
        assert queue.supersede(item)
    queue.put("between")
    for item in (4.0, 5.0):
        assert queue.supersede(item)
    assert queue.statistics() == QueueStatistics(accepted=3, delivered=0, dropped=0, waiting=3)
    assert [queue.get_nowait() for _ in range(3)] == [3.0, "between", 5.0]


async def test_a_full_queue_takes_a_newer_state_and_refuses_another_by_its_policy() -> None:
    queue: BoundedQueue[object] = BoundedQueue(1, Overflow.CLOSE)
    queue.supersede(1.0)
    assert queue.supersede(2.0)
    assert not queue.supersede("another")
    assert queue.closed
    assert not queue.supersede("after the end")
    assert queue.get_nowait() == 2.0


async def test_a_waiting_reader_is_woken_by_a_state() -> None:
    queue: BoundedQueue[float] = BoundedQueue(1)
    queue.supersede(1.0)
    assert await queue.get() == 1.0
    queue.supersede(2.0)
    assert await anext(aiter(queue)) == 2.0
