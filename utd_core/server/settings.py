"""What `utd serve` is told: by flags, by the environment, by a file; in this order, each over the next.

One model for all three. A table of the file is a prefix in the environment: `[engine] ticket_ttl` is
`UTD_ENGINE__TICKET_TTL` there, and `--set engine.ticket_ttl=30` as a flag. Lists in the environment and in flags are
JSON.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from ..engine import EngineSettings
from ..errors import InvalidInput
from .app_settings import AppSettings
from .logs import BLANK, LogFormat, LogLevel
from .projects import Project, ProjectFlags, ProjectLimits
from .pusher import PusherSettings
from .webhooks import WebhookEndpoint, WebhookSettings

DEFAULT_FILE = "utd.toml"
LOCAL_BUS = "local"
PREFIX = "UTD_"

_NOT_SETTINGS = frozenset({"UTD_CONFIG", "UTD_PLUGINS", "UTD_SECRET_KEY", "UTD_WEBHOOK_SECRET"})
"""Variables with our prefix that say something else."""
_PASSWORD = re.compile(r"(?<=://)([^\s/@:]*):([^\s/@]*)(?=@)")

_QUERY = re.compile(r"(?<=\?)\S+")
"""Of a URL; it may be a token."""


class EndpointSettings(BaseModel):
    """See `WebhookEndpoint`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    url: str
    secrets: tuple[SecretStr, ...]
    types: tuple[str, ...] = ()

    def as_endpoint(self) -> WebhookEndpoint:
        """Raises `InvalidInput`."""
        secrets = tuple(secret.get_secret_value() for secret in self.secrets)
        return WebhookEndpoint(self.name, self.url, secrets, self.types)


class ProjectSettings(BaseModel):
    """The project that the server works for. `secrets`: the first signs, the others are accepted while one rotates.
    `webhooks`: who is told what happens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    app_id: str = Field(min_length=1, max_length=128)
    key: str = Field(min_length=16, max_length=128)
    secrets: tuple[SecretStr, ...] = Field(min_length=1)
    name: str = ""
    flags: ProjectFlags = ProjectFlags()
    limits: ProjectLimits = ProjectLimits()
    webhooks: tuple[EndpointSettings, ...] = ()

    def as_project(self) -> Project:
        secrets = tuple(secret.get_secret_value() for secret in self.secrets)
        webhooks = tuple(endpoint.as_endpoint() for endpoint in self.webhooks)
        return Project(self.app_id, self.key, secrets, self.name, self.flags, self.limits, webhooks=webhooks)


class ServerSettings(BaseSettings):
    """Times are in seconds.

    - `host`, `port`: where the server listens; or `uds`, the path of a Unix socket.
    - `store`: a file for SQLite, or ":memory:", which ends with the server.
    - `media`: the media backend; `media_settings` are its own.
    - `bus`: how this node reaches the others on its database, `redis://host:6379` say; "local" where there is none.
      `bus_settings` are its own.
    - `project`: whom the server works for; without one, the projects in the store (`utd project create`).
    - `project_idle`: for how long nobody needs a project until its engine is closed; the next one who comes has it
      opened again. None: it stays open.
    - `engine`, `http`, `sockets`, `webhooks`: see `EngineSettings`, `AppSettings`, `PusherSettings`, `WebhookSettings`.
    - `metrics`: whether there is /metrics; with a `metrics_token`, for those who send it as a bearer. It has figures of
      at most `metrics_projects` projects; those of all others are summed up.
    - `traces`: where OpenTelemetry spans go; needs the extra `otel`.
    - `drain_delay`: how long a server that is about to end still takes requests, having said at /ready that it is not
      ready; `drain_timeout`: how long it may then take to finish.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65_535)
    uds: Path | None = None
    store: str = "utd.db"
    media: str = "mock"
    media_settings: dict[str, Any] = {}
    bus: str = LOCAL_BUS
    bus_settings: dict[str, Any] = {}
    project: ProjectSettings | None = None
    project_idle: float | None = Field(300.0, gt=0)
    engine: EngineSettings = EngineSettings()
    http: AppSettings = AppSettings()
    sockets: PusherSettings = PusherSettings()
    webhooks: WebhookSettings = WebhookSettings()
    log_format: LogFormat = "auto"
    log_level: LogLevel = "info"
    metrics: bool = True
    metrics_token: SecretStr | None = None
    metrics_projects: int = Field(100, ge=0)
    traces: Literal["off", "otlp", "console"] = "off"
    drain_delay: float = Field(0.0, ge=0)
    drain_timeout: float = Field(20.0, gt=0)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """None but what it is made with: `load` asks the others, and remembers what came from where."""
        return (init_settings,)

    @classmethod
    def load(
        cls,
        flags: Mapping[str, Any] | None = None,
        *,
        file: str | os.PathLike[str] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> Self:
        """The settings of this process. `flags`: by name, tables as mappings; `file`: by default UTD_CONFIG, or
        `utd.toml` where the process runs, if there is one; `defaults`: for what nobody says. Raises `InvalidInput`
        that says all that is wrong (`details.problems`)."""
        path = Path(file or os.environ.get("UTD_CONFIG") or DEFAULT_FILE)
        named = file is not None or "UTD_CONFIG" in os.environ
        _check_names()
        sources = (
            _Source("a flag", _decoded(flags or {})),
            _Source("the environment", _decoded(EnvSettingsSource(cls)())),
            _Source(str(path), _read(path) if named or path.exists() else {}),
            _Source("its default", defaults or {}),
        )
        merged: dict[str, Any] = {}
        for source in reversed(sources):
            merged = _merged(merged, source.values)
        try:
            return cls(**merged)
        except ValidationError as error:
            problems = list(_explain(error, sources))
            raise InvalidInput("; ".join(problems), details={"problems": problems}) from None

    def secrets(self) -> Iterator[str]:
        """Every secret in them, for whoever has to keep them out of something."""
        if self.project is not None:
            yield from (secret.get_secret_value() for secret in self.project.secrets)
            for endpoint in self.project.webhooks:
                yield from (secret.get_secret_value() for secret in endpoint.secrets)
        if self.metrics_token is not None:
            yield self.metrics_token.get_secret_value()
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Mapping):
                # Settings of a plugin: which of them are secret it alone knows, as the credentials of a TURN server.
                yield from _texts(value)
            elif isinstance(value, str):
                for found in _PASSWORD.finditer(value):
                    # As it is written in a URL, and as a library quotes it.
                    yield from {found[2], unquote(found[2])}

    def as_toml(self) -> str:
        """All of them as a file would say them, secrets blanked. Of a plugin's settings only the names are shown."""
        shown = {name: getattr(self, name) for name in type(self).model_fields}
        for name, value in shown.items():
            if isinstance(value, Mapping):
                shown[name] = dict.fromkeys(value, SecretStr(BLANK))
        return "\n".join(_toml(shown)) + "\n"


class _Source(NamedTuple):
    """Where values come from, in words."""

    name: str
    values: Mapping[str, Any]

    def holds(self, path: Sequence[str | int]) -> bool:
        found: Any = self.values
        for part in path:
            if isinstance(found, Mapping) and part in found:
                found = found[part]
            else:
                # Within a list, or behind a value that is no table: it is this source that said so.
                return not isinstance(found, Mapping)
        return True


def _check_names() -> None:
    """Raise `InvalidInput` for a variable that looks like a setting and is none."""
    known = {PREFIX + name.upper() for name in ServerSettings.model_fields} | _NOT_SETTINGS
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name.partition("__")[0] not in known:
            near = get_close_matches(name, known, 1)
            raise InvalidInput(f"{name} is no setting{f'; did you mean {near[0]}?' if near else ''}")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"the settings in {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InvalidInput(f"{path} is no TOML: {error}") from None


def _decoded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Text that is a list or a table in JSON becomes one."""
    return {name: _decoded(value) if isinstance(value, Mapping) else _value(value) for name, value in values.items()}


def _value(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("[", "{"):
        with suppress(ValueError):
            return json.loads(value)
    return value


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        before = merged.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(before, value) if both else value  # type: ignore[arg-type]  # both are mappings
    return merged


def _explain(error: ValidationError, sources: Sequence[_Source]) -> Iterator[str]:
    """A sentence for each thing that is wrong, without its value, which may be a secret."""
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        # A choice between types adds the names of them.
        path = [part for part in problem["loc"] if not str(part).startswith("literal[")]
        name = ".".join(map(str, path))
        if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            said = "there is no such setting"
        elif problem["type"] in ("missing", "missing_argument"):
            yield f"{name} is missing"
            continue
        else:
            said = problem["msg"].removeprefix("Input ")
        where = next((source.name for source in sources if source.holds(path)), "its default")
        yield f"{name} {said} ({where})"


def _texts(value: Any) -> Iterator[str]:
    """Every string in it, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, Iterable):
        for each in value:
            yield from _texts(each)


def _toml(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Lines of TOML; what is None is left out, as TOML has no word for it."""
    inner: list[tuple[str, Mapping[str, Any]]] = []
    for name, value in table.items():
        if (found := _as_table(value)) is not None:
            inner.append((f"[{prefix}{name}]", found))
        elif isinstance(value, tuple) and value and all(isinstance(each, BaseModel) for each in value):
            inner += [(f"[[{prefix}{name}]]", _as_table(each) or {}) for each in value]
        elif value is not None:
            yield f"{name} = {_literal(value)}"
    for title, found in inner:
        yield from ("", title, *_toml(found, f"{title.strip('[]')}."))


def _as_table(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, BaseModel):
        return {field: getattr(value, field) for field in type(value).model_fields}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value if isinstance(value, Mapping) else None


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(map(_literal, sorted(value) if isinstance(value, set | frozenset) else value))}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, SecretStr):
        return json.dumps(BLANK)
    shown = _PASSWORD.sub(rf"\1:{BLANK}", str(value))
    return json.dumps(_QUERY.sub(BLANK, shown) if "://" in shown else shown, ensure_ascii=False)
