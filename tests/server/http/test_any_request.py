"""Schemathesis reads the OpenAPI document and sends what it comes up with, to a real server, with every credential.

No request is answered with a server error, and every answer is one that the document describes: its status, its type,
its headers, its body down to the error codes. `UTD_HTTP_EXAMPLES` says how many are made up for each operation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import count, product
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from utd_core.engine import Engine
from utd_core.model.command import COMMANDS, Actor
from utd_core.model.commands import CreateSession, JoinRoom, MakeRequest, StartCall
from utd_core.model.request import RequestKind
from utd_core.model.stream_type import UTDStreamType
from utd_core.model.wire import PREFIX
from utd_core.server.http.openapi import document

from .served import Served

EXAMPLES = int(os.environ.get("UTD_HTTP_EXAMPLES", "6"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(json.loads(document("")))


class Scene:
    """A room and a stage of Ann's with Ben in them, and a call that rings; nobody has done anything to them yet."""

    def __init__(self, number: int) -> None:
        self.ann, self.ben = f"ann-{number}", f"ben-{number}"
        self.lobby, self.show = f"lobby-{number}", f"show-{number}"
        self.call = ""
        self.credentials: dict[str, Mapping[str, str]] = {}

    async def arrange(self, engine: Engine) -> None:
        for room, kind in ((self.lobby, UTDStreamType.AUDIO_ROOM), (self.show, UTDStreamType.LIVE_STREAM)):
            await engine.execute(JoinRoom(room=room, type=kind, as_host=True), actor=Actor(self.ann))
            await engine.execute(JoinRoom(room=room, type=kind), actor=Actor(self.ben))
        asking = MakeRequest(room=self.lobby, kind=RequestKind.SPEAK)
        await engine.execute(asking, actor=Actor(self.ben))
        calling = StartCall(type=UTDStreamType.AUDIO_CALL, callee=self.ben)
        self.call = (await engine.execute(calling, actor=Actor(self.ann))).call_id
        session = await engine.execute(CreateSession(identity=self.ann))
        here = {"X-App-Id": "alpha"}
        self.credentials = {
            "secret": {**here, "X-App-Secret": "secret-of-alpha"},
            "key": {**here, "X-App-Key": "key-of-alpha"},
            "user": {"Authorization": f"Bearer {session.user_token}"},
            "none": {},
        }

    def known(self, field: str, path: str) -> st.SearchStrategy[Any] | None:
        """Values of a field in a path that are not out of the blue."""
        match field:
            case "room":
                return st.sampled_from([self.lobby, self.show, "none"])
            case "identity":
                return st.sampled_from([self.ann, self.ben, "eve"])
            case "id" if "calls" in path:
                return st.just(self.call)
            case "id" if "requests" in path:
                return st.integers(1, 3)
        return None


NUMBERS = count(1)


OPERATIONS = {
    **{name: (command.spec.verb, PREFIX + command.spec.path) for name, command in COMMANDS.items()},
    "health": ("GET", "/health"),
}


def test_the_document_has_no_other_operation() -> None:
    described = {
        (verb.upper(), path) for path, operations in json.loads(document(""))["paths"].items() for verb in operations
    }
    assert described == set(OPERATIONS.values())


KINDS = [
    pytest.param(name, mode, id=f"{name}-{mode.value}")
    for name, mode in product(OPERATIONS, GenerationMode)
    # It takes nothing that could be malformed.
    if (name, mode) != ("health", GenerationMode.NEGATIVE)
]


@pytest.mark.parametrize(("name", "mode"), KINDS)
def test_every_answer_is_one_that_the_document_describes(served: Served, name: str, mode: GenerationMode) -> None:
    verb, path = OPERATIONS[name]
    operation = SCHEMA[path][verb]
    scene = Scene(next(NUMBERS))
    served.run(scene.arrange(served.engine))

    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=EXAMPLES <= 6,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def check(case: schemathesis.Case[Any], data: st.DataObject) -> None:
        for field in case.path_parameters or {}:
            # Names that nobody ever heard of lead nowhere, so half of the time it is those that are there.
            known = scene.known(field, path)
            if known is not None and data.draw(st.booleans()):
                case.path_parameters[field] = data.draw(known)
        for headers in scene.credentials.values():
            response = case.call(base_url=served.url, headers={"X-Request-Id": "fuzz", **headers})
            case.validate_response(response, checks=CHECKS)

    check()
