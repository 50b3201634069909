"""A server with two projects in virtual time, and callers who show each kind of credential."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote

import httpx

from utd_core.engine import Engine, EngineSettings
from utd_core.model.command import Actor, Command
from utd_core.model.commands import CreateSession
from utd_core.server import App, AppSettings, Hosted, Project, ProjectFlags, ProjectLimits
from utd_core.server.mounts import Mount
from utd_core.testing import VirtualClock
from utd_mock import MockServer

API = "/api/v1"
UNLIMITED = ProjectLimits(identity_commands_per_second=None)


def a_project(name: str, **fields: Any) -> Project:
    """A project whose credentials say whose they are."""
    given = {"flags": ProjectFlags(allow_app_key_identity_mint=True), "limits": UNLIMITED, **fields}
    return Project(name, f"key-of-{name}", (f"secret-of-{name}", f"old-secret-of-{name}"), **given)


class Projects:
    """A host of several projects, which may change."""

    def __init__(self, *hosted: Hosted) -> None:
        self.by_id = {each.project.app_id: each for each in hosted}

    async def find(self, app_id: str) -> Hosted | None:
        return self.by_id.get(app_id)

    async def find_by_key(self, key: str) -> Hosted | None:
        return next((each for each in self.by_id.values() if each.project.has_key(key)), None)


class World:
    """Each of its projects (by default `alpha` and `beta`) has an engine of its own."""

    def __init__(
        self,
        *projects: str,
        mounts: tuple[Mount, ...] = (),
        settings: AppSettings | None = None,
        **engine: Any,
    ) -> None:
        self.clock = VirtualClock()
        self.media = MockServer(self.clock)
        self.engines = {
            name: Engine(
                "mock",
                clock=self.clock,
                media_settings={"server": self.media},
                app_id=name,
                settings=EngineSettings(**engine),
            )
            for name in projects or ("alpha", "beta")
        }
        self.host = Projects(*(Hosted(a_project(name), engine) for name, engine in self.engines.items()))
        self.app = App(self.host, mounts=mounts, settings=settings)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://rtc.example.com")

    async def __aenter__(self) -> Self:
        for engine in self.engines.values():
            await engine.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
        await self.app.aclose()
        for engine in self.engines.values():
            await engine.aclose()
        await self.media.aclose()

    @property
    def engine(self) -> Engine:
        return self.engines["alpha"]

    def change(self, **fields: Any) -> None:
        """Make `alpha` another project than it was."""
        self.host.by_id["alpha"] = Hosted(a_project("alpha", **fields), self.engine)

    def server(self, app: str = "alpha") -> Caller:
        """The application's own server."""
        return Caller(self, {"X-App-Id": app, "X-App-Secret": f"secret-of-{app}"})

    def key(self, app: str = "alpha") -> Caller:
        return Caller(self, {"X-App-Id": app, "X-App-Key": f"key-of-{app}"})

    def nobody(self) -> Caller:
        return Caller(self, {})

    async def user(self, identity: str, *, device: str = "default", app: str = "alpha") -> Caller:
        session = await self.engines[app].execute(CreateSession(identity=identity, device_id=device))
        return Caller(self, {"Authorization": f"Bearer {session.user_token}"}, identity)


class Caller:
    """Somebody with a credential. Methods answer the response, whatever it is."""

    def __init__(self, world: World, headers: Mapping[str, str], identity: str = "") -> None:
        self.world = world
        self.headers = dict(headers)
        self.identity = identity

    @property
    def actor(self) -> Actor:
        return Actor(self.identity)

    async def send(self, verb: str, path: str, **request: Any) -> httpx.Response:
        headers = {**self.headers, **request.pop("headers", {})}
        return await self.world.http.request(verb, path, headers=headers, **request)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.send("GET", API + path, params=query)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.send("POST", API + path, json=body)

    async def put(self, path: str, **body: Any) -> httpx.Response:
        return await self.send("PUT", API + path, json=body)

    async def delete(self, path: str, **query: Any) -> httpx.Response:
        return await self.send("DELETE", API + path, params=query)

    async def give(self, command: Command, key: str | None = None) -> httpx.Response:
        """Give a command as the page of its operation says."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.send(**request_of(command), headers=headers)


def request_of(command: Command) -> dict[str, Any]:
    """The request that a command is, as somebody would write it who has only read the reference."""
    spec = command.spec
    whole = json.loads(command.model_dump_json())
    path = re.sub(r"{(\w+)}", lambda found: quote(str(whole.pop(found[1])), safe=""), spec.path)
    fields = {name: value for name, value in whole.items() if name in command.model_fields_set}
    request: dict[str, Any] = {"verb": spec.verb, "path": API + path}
    if spec.verb in ("GET", "DELETE"):
        request["params"] = {name: as_text(value) for name, value in fields.items() if value is not None}
    elif fields:
        request["json"] = fields
    return request


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that it is a refusal of this kind, in the format of all refusals; its details."""
    assert (response.status_code, response.json().get("code")) == (status, code), response.text[:500]
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) <= {"message", "code", "details"}
    assert body["message"]
    details = body.get("details", {})
    assert isinstance(details, dict)
    return details


def done(response: httpx.Response) -> Any:
    """Check that it went well; what was answered."""
    assert response.is_success, response.text[:500]
    return response.json() if response.content else None
