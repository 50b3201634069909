"""Commands over HTTP: what a request becomes, and what is answered."""

from __future__ import annotations

from typing import Any

import pytest

from utd_core.errors import ErrorCode
from utd_core.model.codec import adapter
from utd_core.model.command import COMMANDS
from utd_core.model.commands import GetRoom, JoinRoom, ListRooms, TakeSeat
from utd_core.model.stream_type import UTDStreamType
from utd_core.model.wire import PREFIX
from utd_core.server.http.operations import operations, status_of

from .world import API, Caller, World, done, refused

AUDIO = UTDStreamType.AUDIO_ROOM


async def a_room(world: World, name: str = "lobby", **options: Any) -> Caller:
    """A room, and its host in it."""
    host = await world.user("host")
    done(await host.give(JoinRoom(room=name, type=AUDIO, as_host=True, **options)))
    return host


class TestTheRoutes:
    def test_there_is_one_for_every_command(self) -> None:
        assert set(operations()) == set(COMMANDS)
        assert PREFIX == API

    def test_no_two_commands_are_the_same_request(self) -> None:
        routes = [(command.spec.verb, command.spec.path) for command in COMMANDS.values()]
        assert len(routes) == len(set(routes))

    def test_a_command_that_answers_nothing_is_204_and_one_that_adds_to_a_list_201(self) -> None:
        statuses = {name: status_of(command.spec) for name, command in COMMANDS.items()}
        assert {name for name, status in statuses.items() if status == 201} == {
            "create_room", "start_call", "create_ban", "make_request",
        }  # fmt: skip
        assert {name for name, status in statuses.items() if status == 204} == {
            name for name, command in COMMANDS.items() if command.spec.result is None
        }


class TestAnswers:
    async def test_are_what_the_engine_answers_as_json(self, world: World) -> None:
        host = await a_room(world, seat_count=4)
        answered = done(await host.give(GetRoom(room="lobby")))
        snapshot = await world.engine.execute(GetRoom(room="lobby"), actor=host.actor)
        assert answered == adapter(GetRoom.spec.result).dump_python(snapshot, mode="json")

    async def test_of_nothing_have_no_body_and_no_type(self, world: World) -> None:
        host = await a_room(world)
        response = await host.post("/rooms/lobby/leave")
        assert (response.status_code, response.content) == (204, b"")
        assert "content-type" not in response.headers

    async def test_of_what_was_made_are_201(self, world: World) -> None:
        response = await world.server().post("/rooms", room="made", type="audio_room")
        assert response.status_code == 201
        assert response.json()["room"]["name"] == "made"

    async def test_are_kept_by_nobody_on_the_way(self, world: World) -> None:
        host = await a_room(world)
        assert (await host.get("/rooms")).headers["cache-control"] == "no-store"
        assert (await host.get("/rooms/none")).headers["cache-control"] == "no-store"

    async def test_of_a_plain_number_are_that_number(self, world: World) -> None:
        host = await a_room(world)
        assert done(await host.put("/rooms/lobby/metadata", metadata={"topic": "birds"})) == 1

    async def test_to_head_are_those_to_get_without_the_body(self, world: World) -> None:
        host = await a_room(world)
        assert (await host.send("HEAD", f"{API}/rooms/lobby")).status_code == 200
        assert (await host.send("HEAD", f"{API}/rooms/none")).status_code == 404
        assert (await host.send("HEAD", f"{API}/rooms/lobby/leave")).status_code == 405


class TestLists:
    async def test_are_read_page_by_page(self, world: World) -> None:
        server = world.server()
        for number in range(7):
            done(await server.post("/rooms", room=f"room-{number}", type="audio_room"))
        pages, cursor = [], None
        while True:
            page = done(await server.get("/rooms", limit=3, **({"cursor": cursor} if cursor else {})))
            assert set(page) == {"data", "next"}
            pages.append([room["name"] for room in page["data"]])
            cursor = page["next"]
            if cursor is None:
                break
        assert pages == [["room-0", "room-1", "room-2"], ["room-3", "room-4", "room-5"], ["room-6"]]

    async def test_hold_twenty_where_nobody_says_how_many(self, world: World) -> None:
        for number in range(21):
            done(await world.server().post("/rooms", room=f"room-{number:02}", type="audio_room"))
        page = done(await world.server().get("/rooms"))
        assert (len(page["data"]), page["next"]) == (20, "room-19")

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1.5", "", "1_0", "٣", "9" * 40])
    async def test_of_an_impossible_length_are_refused(self, world: World, limit: str) -> None:
        refused(await world.server().get("/rooms", limit=limit), 422, ErrorCode.INVALID_INPUT)

    def test_every_list_takes_cursor_and_limit(self) -> None:
        lists = [command for command in COMMANDS.values() if "Page" in str(command.spec.result)]
        assert len(lists) == 6
        for command in lists:
            assert {"cursor", "limit"} <= set(command.model_fields), command
            assert command.model_fields["limit"].default == 20

    def test_nothing_answers_a_bare_array(self) -> None:
        assert not [name for name, command in COMMANDS.items() if str(command.spec.result).startswith("tuple")]


class TestNamesInPaths:
    @pytest.mark.parametrize(
        "name",
        ["a/b", "team/ann", "50%", "a b", "käse", "日本", "👩‍👩‍👧", "a?b", "a#b", "a+b", "a&b=c", "%2F", "a;b", "..."],
    )
    async def test_may_hold_whatever_a_name_may(self, world: World, name: str) -> None:
        host = await a_room(world, name)
        assert done(await host.give(GetRoom(room=name)))["room"]["name"] == name
        assert done(await host.give(TakeSeat(room=name, index=2)))["identity"] == "host"

    async def test_of_seats_may_be_any(self, world: World) -> None:
        host = await a_room(world)
        assert done(await host.post("/rooms/lobby/seats/any/take"))["index"] == 0

    async def test_that_are_no_names_are_malformed(self, world: World) -> None:
        server = world.server()
        refused(await server.get("/rooms/%20x"), 422, ErrorCode.INVALID_NAME)
        refused(await server.get("/rooms/$x"), 422, ErrorCode.INVALID_NAME)
        refused(await server.get("/rooms/" + "x" * 129), 422, ErrorCode.INVALID_NAME)
        refused(await server.post("/rooms/lobby/seats/x/take"), 422, ErrorCode.INVALID_INPUT)
        refused(await server.post("/rooms/lobby/seats/01/take"), 422, ErrorCode.INVALID_INPUT)
        refused(await server.post("/rooms/lobby/seats/100/take"), 422, ErrorCode.SEAT_OUT_OF_RANGE)
        refused(await server.post("/rooms/lobby/requests/1.0/accept"), 422, ErrorCode.INVALID_INPUT)
        refused(
            await server.put("/rooms/lobby/roles/king", capability="ask", allowed=True), 422, ErrorCode.INVALID_INPUT
        )

    @pytest.mark.parametrize(
        "path",
        ["/", "/api", "/api/v1", "/api/v1/", "/api/v1/rooms/", "/api/v1//rooms", "//", "/api/v2/rooms", "/rooms",
         "/api/v1/rooms/%FF", "/api/v1/rooms/lobby/", "/api/v1/rooms/lobby/nothing", "/API/v1/rooms", "/%",
         "/api/v1/rooms/lobby/seats/leave/take"],
    )  # fmt: skip
    async def test_that_lead_nowhere_are_not_found(self, world: World, path: str) -> None:
        refused(await world.server().send("GET", path), 404, ErrorCode.ROUTE_NOT_FOUND)


class TestFields:
    async def test_of_a_get_are_in_the_query(self, world: World) -> None:
        await a_room(world)
        page = done(await world.server().give(ListRooms(type=UTDStreamType.LIVE_STREAM)))
        assert page == {"data": [], "next": None}

    async def test_of_a_delete_are_in_the_query_as_what_they_are(self, world: World) -> None:
        host = await a_room(world)
        guest = await world.user("guest")
        done(await guest.post("/token", room="lobby", type="audio_room"))
        done(await host.delete("/rooms/lobby/participants/guest", block="true", duration="60.5", reason="spam"))
        (ban,) = done(await host.get("/bans", room="lobby"))["data"]
        assert (ban["identity"], ban["reason"]) == ("guest", "spam")
        assert ban["expires_at"] == pytest.approx(ban["created_at"] + 60.5)

    @pytest.mark.parametrize(
        "query", ["block=yes", "block=1", "block=True", "duration=nan", "duration=1e999", "duration=-1", "duration=0x1"]
    )
    async def test_in_a_query_are_not_guessed_at(self, world: World, query: str) -> None:
        host = await a_room(world)
        path = f"{API}/rooms/lobby/participants/guest?{query}"
        refused(await host.send("DELETE", path), 422, ErrorCode.INVALID_INPUT)

    @pytest.mark.parametrize(
        ("verb", "path", "request_"),
        [
            ("GET", "/rooms?colour=red", {}),
            ("GET", "/rooms/lobby?room=lobby", {}),
            ("GET", "/rooms?limit=1&limit=2", {}),
            ("GET", "/rooms?limit", {}),
            ("GET", "/rooms?type=%FF", {}),
            ("GET", "/rooms?" + "&".join(f"f{n}=1" for n in range(65)), {}),
            ("GET", "/rooms", {"json": {"limit": 1}}),
            ("DELETE", "/rooms/lobby", {"json": {"reason": "over"}}),
            ("POST", "/rooms/lobby/seats/leave?reason=x", {}),
            ("POST", "/rooms/lobby/seats/leave", {"json": {"colour": "red"}}),
            ("POST", "/rooms/lobby/seats/3/take", {"json": {"index": 3}}),
            ("POST", "/rooms/lobby/seats/3/take", {"json": {"room": "other"}}),
            ("POST", "/rooms/lobby/seats/swap", {"json": {"first": "1", "second": 2}}),
            ("POST", "/rooms/lobby/seats/swap", {"json": {"first": 1}}),
            ("POST", "/rooms/lobby/seats/swap", {"json": {"first": True, "second": 2}}),
            ("POST", "/rooms/lobby/seats/swap", {"json": {"first": 1.0, "second": 2}}),
            ("POST", "/rooms", {"json": {"room": "x", "type": "disco"}}),
            ("POST", "/rooms", {"json": {"room": "x", "type": None}}),
        ],
    )
    async def test_out_of_place_unknown_or_of_another_type_are_refused(
        self, world: World, verb: str, path: str, request_: dict[str, Any]
    ) -> None:
        host = await a_room(world)
        refused(await host.send(verb, API + path, **request_), 422, ErrorCode.INVALID_INPUT)

    async def test_that_are_wrong_are_named(self, world: World) -> None:
        details = refused(
            await world.server().post("/rooms", room="x", type="audio_room", seat_count=0, colour="red"),
            422,
            ErrorCode.INVALID_INPUT,
        )
        assert {problem["field"] for problem in details["problems"]} == {"seat_count", "colour"}

    async def test_that_a_command_does_not_need_may_be_an_empty_object_or_nothing(self, world: World) -> None:
        host = await a_room(world)
        requests: list[dict[str, Any]] = [{}, {"json": {}}, {"content": b""}]
        for request in requests:
            done(await host.send("POST", f"{API}/rooms/lobby/seats/3/take", **request))
            done(await host.send("POST", f"{API}/rooms/lobby/seats/leave", **request))


class TestMethods:
    @pytest.mark.parametrize("verb", ["PUT", "PATCH", "OPTIONS", "TRACE", "BREW"])
    async def test_that_a_route_does_not_take_are_refused_with_those_that_it_does(
        self, world: World, verb: str
    ) -> None:
        response = await world.server().send(verb, f"{API}/rooms/lobby")
        assert refused(response, 405, ErrorCode.METHOD_NOT_ALLOWED) == {"allowed": ["DELETE", "GET"]}
        assert response.headers["allow"] == "DELETE, GET"


class TestHealth:
    async def test_needs_no_credential(self, world: World) -> None:
        response = await world.nobody().send("GET", "/health")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
