"""Signing for those who have no server of their own: `/api/v1/channels/auth` and `/user-auth`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from utd_core.model.commands import RemoveParticipant
from utd_core.server.projects import ProjectLimits
from utd_core.server.pusher import CloseCode

from .world import CHANNEL, PROJECT, ROOM, World

SUCCEEDED = "pusher_internal:subscription_succeeded"
AUTH, USER_AUTH = "/api/v1/channels/auth", "/api/v1/channels/user-auth"
SECRET = {"x-app-id": PROJECT.app_id, "x-app-secret": PROJECT.secret}


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="http://test") as http:
        yield http


async def bearer(world: World, identity: str) -> dict[str, str]:
    return {"authorization": f"Bearer {await world.token(identity)}"}


class TestOfChannels:
    @pytest.mark.parametrize("form", [True, False])
    async def test_lets_a_user_follow_what_the_user_may(self, room: World, http: httpx.AsyncClient, form: bool) -> None:
        client = await room.connect()
        fields: Any = {"socket_id": client.socket_id, "channel_name": CHANNEL}
        body = {"data": fields} if form else {"json": fields}
        answer = await http.post(AUTH, **body, headers=await bearer(room, "ann"))
        assert answer.status_code == 200
        client.subscribe(CHANNEL, **answer.json())
        await client.hear(SUCCEEDED)

    async def test_is_bound_to_the_user_so_that_removal_ends_it(self, room: World, http: httpx.AsyncClient) -> None:
        client = await room.connect()
        fields = {"socket_id": client.socket_id, "channel_name": CHANNEL}
        signed = (await http.post(AUTH, data=fields, headers=await bearer(room, "ann"))).json()
        assert json.loads(signed["channel_data"])["user_id"] == "ann"
        client.subscribe(CHANNEL, **signed)
        await client.hear(SUCCEEDED)
        await room.do("host", RemoveParticipant(room=ROOM, identity="ann"))
        await client.hear("participant_removed")
        await client.hear("pusher:subscription_error")
        client.subscribe(CHANNEL, **signed)
        await client.hear("pusher:subscription_error")
        client.subscribe(CHANNEL, auth=signed["auth"], channel_data=signed["channel_data"].replace("ann", "host"))
        await client.hear("pusher:subscription_error")

    async def test_is_good_for_as_long_as_the_token(self) -> None:
        async with World(engine={"user_token_ttl": 100.0}) as world:
            await world.join("ann", as_host=True)
            client = await world.connect()
            fields = {"socket_id": client.socket_id, "channel_name": CHANNEL}
            async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="http://test") as http:
                signed = (await http.post(AUTH, data=fields, headers=await bearer(world, "ann"))).json()
            client.subscribe(CHANNEL, **signed)
            await client.hear(SUCCEEDED)
            await world.clock.advance(115)
            assert await client.closed() == CloseCode.RECONNECT

    @pytest.mark.parametrize(
        ("channel", "status"),
        [
            (CHANNEL, 409),
            ("private-room.nowhere", 404),
            ("private-user.ann", 403),
            ("private-call.none", 404),
            ("private-team", 403),
            ("presence-lobby", 403),
            ("two words", 422),
        ],
    )
    async def test_refuses_a_user_what_the_user_may_not(
        self, room: World, http: httpx.AsyncClient, channel: str, status: int
    ) -> None:
        fields = {"socket_id": "1.2", "channel_name": channel}
        answer = await http.post(AUTH, data=fields, headers=await bearer(room, "eve"))
        assert answer.status_code == status
        assert "auth" not in answer.json()

    async def test_gives_the_secret_what_it_asks_for(self, world: World, http: httpx.AsyncClient) -> None:
        client = await world.connect()
        for channel, data in (("private-team", None), ("presence-lobby", '{"user_id":"ann"}')):
            fields = {"socket_id": client.socket_id, "channel_name": channel}
            answer = await http.post(AUTH, json=fields | ({"channel_data": data} if data else {}), headers=SECRET)
            client.subscribe(channel, **answer.json())
            await client.hear(SUCCEEDED)

    @pytest.mark.parametrize("channel", ["presence-lobby", CHANNEL])
    async def test_asks_the_secret_for_whom(self, world: World, http: httpx.AsyncClient, channel: str) -> None:
        answer = await http.post(AUTH, json={"socket_id": "1.2", "channel_name": channel}, headers=SECRET)
        assert answer.status_code == 422

    @pytest.mark.parametrize(
        "socket_id", ["", "1", "1.2:private-room.lounge", "1.2\n", "-1.2", "1.2.3", "1." + "2" * 30]
    )
    async def test_signs_for_nothing_but_a_socket(self, room: World, http: httpx.AsyncClient, socket_id: str) -> None:
        fields = {"socket_id": socket_id, "channel_name": CHANNEL}
        assert (await http.post(AUTH, json=fields, headers=await bearer(room, "ann"))).status_code == 422

    async def test_needs_a_credential(self, room: World, http: httpx.AsyncClient) -> None:
        fields = {"socket_id": "1.2", "channel_name": CHANNEL}
        key = {"x-app-id": PROJECT.app_id, "x-app-key": PROJECT.key}
        for path in (AUTH, USER_AUTH):
            assert (await http.post(path, json=fields)).status_code == 401
            assert (await http.post(path, json=fields, headers={"authorization": "Bearer x.y.z"})).status_code == 401
            assert (await http.post(path, json=fields, headers=SECRET | {"x-app-secret": "no"})).status_code == 401
            assert (await http.post(path, json=fields, headers=key)).status_code == 403
            assert (await http.get(path, headers=SECRET)).status_code == 405

    async def test_takes_from_the_rate_of_the_project(self, room: World, http: httpx.AsyncClient) -> None:
        room.place.change(limits=ProjectLimits(commands_per_second=1.0, burst=2))
        fields = {"socket_id": "1.2", "channel_name": CHANNEL}
        headers = await bearer(room, "ann")
        answers = [await http.post(path, json=fields, headers=headers) for path in (AUTH, USER_AUTH, AUTH)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[-1].headers["retry-after"] == "1"

    @pytest.mark.parametrize("body", [b"", b"[]", b"x", b"{}", b"\xff", b"[" * 9_999, b"x" * 40_000])
    async def test_of_what_is_none_is_refused(self, room: World, http: httpx.AsyncClient, body: bytes) -> None:
        answer = await http.post(AUTH, content=body, headers=await bearer(room, "ann"))
        assert answer.status_code in (413, 422)

    @pytest.mark.parametrize("channel", ["private-room.a\0", "private-room.\u202e", "private-user.", "private-call.\0"])
    async def test_of_a_channel_that_nothing_can_have_asks_no_store(
        self, room: World, http: httpx.AsyncClient, channel: str
    ) -> None:
        fields = {"socket_id": "1.2", "channel_name": channel}
        assert (await http.post(AUTH, data=fields, headers=await bearer(room, "ann"))).status_code == 422

    @pytest.mark.parametrize("good_until", ["9" * 400, "1e999", "true", "null", '"soon"', "{}"])
    async def test_until_no_time_is_refused(self, room: World, http: httpx.AsyncClient, good_until: str) -> None:
        data = f'{{"user_id":"ann","good_until":{good_until}}}'
        fields = {"socket_id": "1.2", "channel_name": CHANNEL, "channel_data": data}
        assert (await http.post(AUTH, json=fields, headers=SECRET)).status_code == 422

    @pytest.mark.parametrize(
        "fields",
        [
            r'"channel_name":"private-room.\ud800","channel_data":"{\"user_id\":\"ann\"}"',
            r'"channel_name":"private-team","channel_data":"\uDFFF"',
            r'"channel_name":"presence-lobby","channel_data":"{\"user_id\":\"\ud800\"}"',
        ],
        ids=["name", "data", "user"],
    )
    async def test_with_half_a_character_is_refused(self, room: World, http: httpx.AsyncClient, fields: str) -> None:
        for headers in (SECRET, await bearer(room, "ann")):
            answer = await http.post(AUTH, content=f'{{"socket_id":"1.2",{fields}}}', headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_json")


class TestOfUsers:
    async def test_signs_a_user_in(self, room: World, http: httpx.AsyncClient) -> None:
        client = await room.connect()
        headers = await bearer(room, "ann")
        answer = await http.post(USER_AUTH, data={"socket_id": client.socket_id}, headers=headers)
        client.say("pusher:signin", answer.json())
        data = await client.hear_data("pusher:signin_success")
        assert json.loads(data["user_data"])["id"] == "ann"
        client.subscribe("private-user.ann")
        await client.hear(SUCCEEDED)

    async def test_signs_in_whom_the_secret_says(self, world: World, http: httpx.AsyncClient) -> None:
        client = await world.connect()
        fields = {"socket_id": client.socket_id, "user_data": '{"id":"bob"}'}
        client.say("pusher:signin", (await http.post(USER_AUTH, json=fields, headers=SECRET)).json())
        await client.hear("pusher:signin_success")

    @pytest.mark.parametrize("data", [None, "", "{}", '{"id":7}', "x", '{"id":"ann","good_until":%s}' % ("9" * 400)])
    async def test_asks_the_secret_who_it_is(self, world: World, http: httpx.AsyncClient, data: str | None) -> None:
        answer = await http.post(USER_AUTH, json={"socket_id": "1.2", "user_data": data}, headers=SECRET)
        assert answer.status_code == 422
