"""The client's own tests of calls, unchanged, on webrtc_p2p: embedded, and with every client on the network.

Left out are those that look into the mock, and those that cancel at every await point, of which there are as many as
packets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.client.conftest import way  # noqa: F401  # a fixture
from tests.client.test_calls import (  # noqa: F401  # collected here
    test_a_call_ends_with_its_longest_duration,
    test_a_call_from_ringing_to_its_end_with_both_sides_heard,
    test_a_call_that_is_rejected_while_it_starts_is_no_error,
    test_a_call_that_rang_before_the_client_came_is_there,
    test_a_callee_who_is_in_a_call_is_busy_with_409,
    test_a_lost_connection_comes_back_into_the_call,
    test_a_session_makes_one_call_after_the_other_and_only_one_at_once,
    test_a_start_that_is_refused_does_not_lose_sight_of_the_call_that_rings,
    test_a_video_call_without_a_camera_is_refused_before_anybody_rings,
    test_bad_calls_are_refused,
    test_both_sides_hang_up_in_the_same_moment,
    test_closing_a_session_hangs_up,
    test_closing_a_session_that_only_rings_answers_nothing,
    test_end_and_reject_at_once_end_it_once,
    test_ending_tolerates_what_is_over_what_never_began_and_a_second_time,
    test_ending_while_it_starts_leaves_no_call_behind,
    test_one_device_answers_and_the_others_stop_ringing,
    test_only_the_parties_see_a_call,
    test_rejecting_ends_it_for_the_caller,
    test_reporting_busy_ends_it_for_the_caller,
    test_the_callee_ends_what_rings,
    test_the_callee_may_not_publish_before_it_has_answered,
    test_the_caller_cancels_before_the_answer,
    test_unanswered_for_the_ring_timeout_it_is_missed_on_both_sides,
)
from tests.client.world import Way
from utd_core.testing.leaks import Snapshot, assert_no_leaks

from .calls import P2PWorld

pytestmark = pytest.mark.parity("U12", "U13")


@pytest.fixture
async def world(way: Way) -> AsyncIterator[P2PWorld]:  # noqa: F811  # the fixture
    """One engine; afterwards no task, thread or descriptor is left."""
    before = Snapshot.take()
    async with P2PWorld(way) as world:
        yield world
    await assert_no_leaks(before)
