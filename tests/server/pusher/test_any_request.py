"""Whatever is sent to the HTTP routes beside the sockets, with whatever credential: no server error, and every refusal
is in the format of all. (The operations of the OpenAPI document have their own: `tests/server/http`.)"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utd_core.server.pusher.signatures import request_text, sign

from .world import CHANNEL, PROJECT, World

PATHS = (
    "/api/v1/channels/auth",
    "/api/v1/channels/user-auth",
    "/api/v1/channels/none",
    "/apps/4711/events",
    "/apps/4711/batch_events",
    "/apps/4711/channels",
    f"/apps/4711/channels/{CHANNEL}",
    "/apps/4711/channels/presence-x/users",
    "/apps/4711/users/ann/terminate_connections",
    "/users/ann/terminate_connections",
    "/apps/none/events",
    "/apps/%ff/events",
    "/app/key",
)
CHANNELS = st.sampled_from(
    [
        "news",
        "private-a",
        "presence-x",
        CHANNEL,
        "private-user.ann",
        "",
        "ä",
        "#server-to-user-x",
        "private-room.\ud800",
    ]
)
TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
"""Halves of characters too, which JSON can hold and nothing else."""
ENDLESS = f'{{"user_id":"ann","id":"ann","good_until":{"9" * 400}}}'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | CHANNELS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "socket_id": st.sampled_from(["1.2", "x", ""]) | JSON,
        "channel_name": CHANNELS | JSON,
        "channel_data": st.sampled_from(['{"user_id":"ann"}', ENDLESS]) | JSON,
        "user_data": st.sampled_from(['{"id":"ann"}', ENDLESS]) | JSON,
        "name": st.sampled_from(["word", "pusher:x", "client-x", ""]) | JSON,
        "data": st.just("{}") | JSON,
        "channel": CHANNELS | JSON,
        "channels": st.lists(CHANNELS, max_size=4) | JSON,
        "info": st.sampled_from(["user_count", "subscription_count,user_count", "x"]) | JSON,
        "batch": st.lists(JSON, max_size=3) | JSON,
    },
)


def as_form(fields: Mapping[str, Any]) -> bytes:
    whole = {name: str(value).encode(errors="replace").decode() for name, value in fields.items()}
    return str(httpx.QueryParams(whole)).encode()


BODIES = st.one_of(
    st.binary(max_size=50),
    FIELDS.map(json.dumps).map(str.encode),
    FIELDS.map(as_form),
    JSON.map(json.dumps).map(str.encode),
)
REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["POST", "POST", "GET", "PUT", "DELETE", "OPTIONS"]),
        "path": st.sampled_from(PATHS),
        "body": BODIES,
        "type": st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain", ""]),
        "query": st.dictionaries(
            st.sampled_from(["info", "filter_by_prefix", "auth_key", "auth_timestamp", "auth_version", "x"]),
            st.sampled_from(["user_count", "presence-", "key", "1.0", "9" * 50, "ä", ""]),
            max_size=3,
        ),
        "host": st.sampled_from(["test", "[", "a b", "[::1", "", "x:99999999"]),
        "is_signed": st.booleans(),
    }
)


def signature(request: Mapping[str, Any], now: float) -> dict[str, str]:
    """The query of a request that is signed as it should be, whatever it asks for."""
    query = {
        "auth_key": PROJECT.key,
        "auth_timestamp": f"{now:.0f}",
        "auth_version": "1.0",
        "body_md5": hashlib.md5(request["body"]).hexdigest(),
        **request["query"],
    }
    query["auth_signature"] = sign(PROJECT.secret, request_text(request["method"], request["path"], query))
    return query


async def credentials(world: World) -> dict[str, dict[str, str]]:
    here = {"X-App-Id": PROJECT.app_id}
    return {
        "secret": {**here, "X-App-Secret": PROJECT.secret},
        "key": {**here, "X-App-Key": PROJECT.key},
        "user": {"Authorization": f"Bearer {await world.token('ann')}"},
        "none": {},
    }


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=REQUESTS)
async def test_is_answered_without_a_server_error(room: World, request: dict[str, Any]) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(room.app), base_url="http://test") as http:
        for credential in (await credentials(room)).values():
            headers = {**credential, "Host": request["host"]}
            if request["type"]:
                headers["Content-Type"] = request["type"]
            answer = await http.request(
                request["method"],
                request["path"],
                content=request["body"],
                headers=headers,
                params=signature(request, room.clock.now()) if request["is_signed"] else request["query"],
            )
            assert answer.status_code < 500, answer.text
            if not answer.is_success:
                assert {"message", "code"} <= answer.json().keys() <= {"message", "code", "details"}
