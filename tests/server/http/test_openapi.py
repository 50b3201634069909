"""The generated document: valid, complete, and true."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from tests.model import commands_at_random
from tests.model.world import CallWorld, RoomWorld
from utd_core.errors import EXCEPTION_OF, ErrorCode, UTDStreamException
from utd_core.model.command import COMMANDS, Command
from utd_core.model.commands import CallCommand, StartCall
from utd_core.model.identifiers import SERVER
from utd_core.model.stream_type import UTDStreamType
from utd_core.model.wire import PREFIX
from utd_core.server.http.openapi import document
from utd_core.server.http.openapi.codes import codes_of
from utd_core.server.http.openapi.examples import body_of
from utd_core.server.http.operations import operations

from .world import World, done

DOCUMENT: dict[str, Any] = json.loads(document(""))
OPERATIONS = operations()


def operation(name: str) -> dict[str, Any]:
    spec = COMMANDS[name].spec
    found: dict[str, Any] = DOCUMENT["paths"][PREFIX + spec.path][spec.verb.lower()]
    return found


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the document, or what it refers to."""
    while "$ref" in part:
        target: Any = DOCUMENT
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        part = target
    return part


def check_against(schema: dict[str, Any], value: Any) -> None:
    OAS31Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def test_it_is_valid_openapi() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    validate(DOCUMENT)


def test_every_command_is_in_it_once() -> None:
    ids = [found["operationId"] for path in DOCUMENT["paths"].values() for found in path.values()]
    assert sorted(ids) == sorted([*COMMANDS, "health"])


async def test_it_is_served_to_anybody(world: World) -> None:
    served = done(await world.nobody().send("GET", "/openapi.json"))
    assert served == {**DOCUMENT, "servers": [{"url": "/"}]}


def test_there_are_three_credentials_and_only_sessions_take_the_key() -> None:
    for name in COMMANDS:
        asked = [set(way) for way in operation(name)["security"]]
        ways = [{"AppId", "AppSecret"}, {"AppId", "AppKey"}, {"UserToken"}]
        assert asked == (ways if name == "create_session" else [ways[0], ways[2]])
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"AppId", "AppSecret", "AppKey", "UserToken"}


@pytest.mark.parametrize("name", COMMANDS)
class TestAnOperation:
    def test_says_what_it_does(self, name: str) -> None:
        assert operation(name)["summary"].endswith(".")
        assert operation(name)["tags"]

    def test_has_every_field_in_one_place(self, name: str) -> None:
        found = operation(name)
        parameters = [resolved(parameter) for parameter in found["parameters"]]
        places = {parameter["name"]: parameter["in"] for parameter in parameters if parameter["in"] != "header"}
        body = resolved(found["requestBody"]["content"]["application/json"]["schema"]) if "requestBody" in found else {}
        assert set(places) | set(body.get("properties", ())) == set(COMMANDS[name].model_fields)
        assert not set(places) & set(body.get("properties", ()))
        assert body.get("additionalProperties", False) is False

    def test_requires_what_the_command_requires(self, name: str) -> None:
        found = operation(name)
        parameters = [resolved(parameter) for parameter in found["parameters"]]
        required = {parameter["name"] for parameter in parameters if parameter.get("required")}
        if "requestBody" in found:
            body = resolved(found["requestBody"]["content"]["application/json"]["schema"])
            required |= set(body.get("required", ()))
            assert found["requestBody"]["required"] is bool(body.get("required"))
        fields = COMMANDS[name].model_fields
        in_path = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
        assert required == {field for field, info in fields.items() if info.is_required()} | in_path

    def test_takes_an_idempotency_key_if_it_changes_anything(self, name: str) -> None:
        headers = {resolved(parameter)["name"] for parameter in operation(name)["parameters"]} - set(
            COMMANDS[name].model_fields
        )
        assert headers == (set() if COMMANDS[name].spec.query else {"Idempotency-Key"})

    def test_shows_a_request_that_is_one(self, name: str) -> None:
        found = operation(name)
        fields: dict[str, Any] = {}
        for parameter in map(resolved, found["parameters"]):
            if parameter["in"] == "path" or (parameter["in"] == "query" and "example" in parameter):
                check_against(parameter["schema"], parameter["example"])
                fields[parameter["name"]] = parameter["example"]
        if "requestBody" in found:
            content = found["requestBody"]["content"]["application/json"]
            check_against(content["schema"], content["example"])
            assert content["example"] == body_of(OPERATIONS[name])
            fields |= content["example"]
        COMMANDS[name].parse(fields)

    def test_shows_answers_that_are_some(self, name: str) -> None:
        for response in map(resolved, operation(name)["responses"].values()):
            assert response["description"]
            if "content" in response:
                content = response["content"]["application/json"]
                check_against(content["schema"], content["example"])

    def test_lists_each_code_under_its_status(self, name: str) -> None:
        listed: dict[str, int] = {}
        for status, response in operation(name)["responses"].items():
            if not status.startswith("2"):
                schema = resolved(response)["content"]["application/json"]["schema"]
                listed |= dict.fromkeys(schema["properties"]["code"]["enum"], int(status))
        assert listed == {code.value: EXCEPTION_OF[code].default_status for code in codes_of(OPERATIONS[name])}


def test_the_parts_that_operations_share_are_all_used() -> None:
    text = json.dumps(DOCUMENT)
    components = DOCUMENT["components"]
    unused = [
        f"{kind}/{name}"
        for kind in ("schemas", "parameters", "headers", "responses")
        for name in components[kind]
        if f'"#/components/{kind}/{name}"' not in text
    ]
    assert not unused


def is_listed(world: RoomWorld | CallWorld, by: str, command: Command, **how: Any) -> bool:
    """Give a command; whether it went well, or was refused as the document says that it may be."""
    try:
        world.give(by, command, **how)
    except UTDStreamException as refusal:
        return ErrorCode(refusal.code) in codes_of(OPERATIONS[command.spec.name])
    return True


@settings(max_examples=100)
@given(st.data())
def test_a_room_refuses_with_no_other_code_than_the_document_lists(data: st.DataObject) -> None:
    world = RoomWorld()
    for _ in range(60):
        by, command, device = data.draw(PEOPLE), data.draw(ANYTHING), "phone"
        if world.state is not None and data.draw(st.booleans()):
            by, command, device = commands_at_random.aimed(world, data, command)
        assert is_listed(world, by, command, device=device), command


@settings(max_examples=100)
@given(st.data())
def test_a_call_refuses_with_no_other_code_than_the_document_lists(data: st.DataObject) -> None:
    world = CallWorld()
    about = [kind for kind in COMMANDS.values() if issubclass(kind, CallCommand)]
    for _ in range(40):
        if data.draw(st.integers(0, 3)) == 0 or not world.calls:
            command: Command = StartCall(type=data.draw(st.sampled_from(UTDStreamType)), callee=data.draw(CALLEES))
        else:
            command = data.draw(st.sampled_from(about)).parse({"id": world.call.id})
        if data.draw(st.integers(0, 9)) == 0:
            world.ban_everywhere(data.draw(CALLEES))
        assert is_listed(world, data.draw(CALLEES), command), command


CALLEES = st.sampled_from(commands_at_random.PEOPLE[:3])
PEOPLE = st.sampled_from([*commands_at_random.PEOPLE, SERVER])
ANYTHING = st.one_of(commands_at_random.EVERYTHING)
