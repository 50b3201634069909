"""Puts the document together."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from ....errors import ErrorCode
from ....model.commands import CallCommand
from ....model.roles import DEFAULT_CAPABILITIES
from ....version import __version__
from ..operations import Operation, operations
from .codes import EVERY, WITH_BODY, by_status, codes_of
from .examples import answer_of, body_of, parameter_of
from .schemas import Schema, Schemas

_JSON = "application/json"
_SECRET: Schema = {"AppId": [], "AppSecret": []}
_KEY: Schema = {"AppId": [], "AppKey": []}
_USER: Schema = {"UserToken": []}
_TITLES = {"rooms": "Sessions and rooms", "moderation": "Moderation"}

_ABOUT = """\
Rooms, seats, stage and calls. One operation for each command of the engine.

- A caller shows one credential: the project's secret (your server), its publishable key (development), or a user's \
token.
- Every operation that changes something takes `Idempotency-Key`; repeated under the same key it is done once, and \
answered with the first answer.
- Lists answer `{data, next}`; `next` is the `cursor` of the following page, null on the last one.
- Errors are `{message, code, details?}`. Codes are stable.
"""


@lru_cache(maxsize=16)
def document(root: str) -> bytes:
    """The document as JSON, for a server that is mounted below `root`."""
    return json.dumps({**_whole(), "servers": [{"url": root or "/"}]}, ensure_ascii=False).encode()


@cache
def _whole() -> Schema:
    every = list(operations().values())
    schemas = Schemas(every)
    paths: dict[str, Schema] = {}
    for operation in every:
        paths.setdefault(operation.template, {})[operation.spec.verb.lower()] = _operation(operation, schemas)
    paths["/health"] = {"get": _health()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "utd-core", "version": __version__, "description": _ABOUT},
        "tags": list(_tags(every)),
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**schemas.components, "Error": _ERROR}.items())),
            "securitySchemes": _SECURITY,
            "parameters": {"IdempotencyKey": _IDEMPOTENCY_KEY},
            "headers": _HEADERS,
            "responses": {
                name: _refusal(status, by_status(EVERY | WITH_BODY)[status]) for status, name in _SHARED.items()
            },
        },
    }


def _operation(operation: Operation, schemas: Schemas) -> Schema:
    spec = operation.spec
    summary, _, rest = inspect.cleandoc(operation.command.__doc__ or "").partition("\n\n")
    found: Schema = {
        "operationId": spec.name,
        "summary": " ".join(summary.split()),
        "description": "\n".join([*([rest, ""] if rest else []), *(f"- {rule}" for rule in _rules(operation))]),
        "tags": [_group(operation)],
        "security": [_SECRET, _KEY, _USER] if spec.name == "create_session" else [_SECRET, _USER],
        "parameters": list(_parameters(operation, schemas)),
    }
    body = schemas.body(operation)
    if body is not None:
        schemas.components[operation.command.__name__] = body
        content: Schema = {"schema": {"$ref": f"#/components/schemas/{operation.command.__name__}"}}
        content["example"] = dict(body_of(operation))
        found["requestBody"] = {"required": "required" in body, "content": {_JSON: content}}
    found["responses"] = _responses(operation, schemas)
    return found


def _rules(operation: Operation) -> Iterator[str]:
    spec = operation.spec
    if spec.capability is not None:
        roles = [role.value for role, has in DEFAULT_CAPABILITIES.items() if spec.capability in has]
        yield f"Needs `{spec.capability.value}` ({', '.join(roles)}), or the project's secret."
    if spec.target is not None:
        yield f"`{spec.target}` must be of a lower rank than the caller."
    if spec.presence:
        yield "Users must be in the room."
    if not spec.query:
        yield "Repeated under the same `Idempotency-Key`, it is done once."


def _parameters(operation: Operation, schemas: Schemas) -> Iterator[Schema]:
    binding = operation.binding
    required = schemas.commands[operation.spec.name].get("required", ())
    for name in binding.path:
        schema = schemas.field(operation, name)
        schema.pop("default", None)
        parameter = {"name": name, "in": "path", "required": True, "schema": schema}
        yield _with_example(parameter, parameter_of(operation, name))
    for name in () if binding.has_body else binding.others:
        parameter = {"name": name, "in": "query", "schema": schemas.field(operation, name)}
        if name in required:
            parameter["required"] = True
        yield _with_example(parameter, parameter_of(operation, name))
    if not operation.spec.query:
        yield {"$ref": "#/components/parameters/IdempotencyKey"}


def _with_example(parameter: Schema, example: Any) -> Schema:
    return parameter if example is None else {**parameter, "example": example}


def _responses(operation: Operation, schemas: Schemas) -> Schema:
    headers = {"X-Request-Id": _header("RequestId")}
    if "room" in operation.command.model_fields or issubclass(operation.command, CallCommand):
        headers["X-UTD-Place"] = _header("Place")
    success: Schema = {"description": _SUCCESS[operation.status], "headers": headers}
    schema = schemas.results.get(operation.spec.name)
    if schema is not None:
        success["content"] = {_JSON: {"schema": schema, "example": answer_of(schema, schemas)}}
    found = {str(operation.status): success}
    for status, codes in by_status(codes_of(operation)).items():
        shared = _SHARED.get(status)
        found[str(status)] = {"$ref": f"#/components/responses/{shared}"} if shared else _refusal(status, codes)
    return found


def _refusal(status: int, codes: list[ErrorCode]) -> Schema:
    headers = {"X-Request-Id": _header("RequestId")}
    if status in (429, 503):
        headers["Retry-After"] = _header("RetryAfter")
    if status == 401:
        headers["WWW-Authenticate"] = _header("Challenge")
    schema = {
        "allOf": [{"$ref": "#/components/schemas/Error"}],
        "properties": {"code": {"enum": [code.value for code in codes]}},
    }
    return {
        "description": ", ".join(f"`{code.value}`" for code in codes),
        "headers": headers,
        "content": {
            _JSON: {"schema": schema, "example": {"message": "what happened; what to do", "code": codes[0].value}}
        },
    }


def _health() -> Schema:
    schema = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}
    return {
        "operationId": "health",
        "summary": "The server is there.",
        "tags": ["Service"],
        "security": [],
        "responses": {
            "200": {
                "description": _SUCCESS[200],
                "content": {_JSON: {"schema": schema, "example": {"status": "ok"}}},
            }
        },
    }


def _tags(every: list[Operation]) -> Iterator[Schema]:
    for module in dict.fromkeys(inspect.getmodule(operation.command) for operation in every):
        about = inspect.getdoc(module) or ""
        yield {"name": _title(module.__name__ if module else ""), "description": about}
    yield {"name": "Service", "description": "The server itself."}


def _group(operation: Operation) -> str:
    return _title(operation.command.__module__)


def _title(module: str) -> str:
    name = module.rpartition(".")[2]
    return _TITLES.get(name, name.capitalize())


def _header(name: str) -> Schema:
    return {"$ref": f"#/components/headers/{name}"}


_SHARED = {
    401: "Unauthenticated",
    408: "RequestTimeout",
    413: "TooLarge",
    415: "UnsupportedMediaType",
    429: "RateLimited",
    500: "Internal",
}
"""Refusals that are the same for every operation that has them."""

_SUCCESS = {200: "Done.", 201: "Made.", 204: "Done; there is nothing to say."}

_ERROR: Schema = {
    "type": "object",
    "description": "What went wrong, and what to do next. `code` is stable, `details` are particulars of the code.",
    "properties": {
        "message": {"type": "string"},
        "code": {"type": "string"},
        "details": {"type": "object"},
    },
    "required": ["message", "code"],
    "additionalProperties": False,
}

_SECURITY: Schema = {
    "AppId": {"type": "apiKey", "in": "header", "name": "X-App-Id", "description": "The project."},
    "AppSecret": {
        "type": "apiKey",
        "in": "header",
        "name": "X-App-Secret",
        "description": "The project's secret: for your own servers, which may do everything in the project.",
    },
    "AppKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-App-Key",
        "description": "The project's publishable key: signs people in where the project allows it.",
    },
    "UserToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `user_token` of a session: what its identity may do.",
    },
}

_IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Any text that is new for each command of yours, such as a UUID.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "example": "8f14e45f-ceea-467f-a0e6-5b3a1e1d3c55",
}

_HEADERS: Schema = {
    "RequestId": {
        "description": "The caller's `X-Request-Id` where it was well formed, else a new one.",
        "schema": {"type": "string"},
    },
    "Place": {
        "description": "Where the event channel of the room or call is by now: its epoch and offset.",
        "schema": {"type": "string", "pattern": "^[^/]+/[0-9]+$"},
    },
    "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "Challenge": {"description": "How to show a credential.", "schema": {"type": "string"}},
}
