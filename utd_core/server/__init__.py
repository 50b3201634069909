"""The engine over HTTP and WebSocket. Needs the extra `server`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ..engine import Engine
from ..errors import InvalidInput
from .app import App
from .app_settings import AppSettings
from .media_webhooks import MediaWebhooks
from .projects import Host, Hosted, Project, ProjectFlags, ProjectLimits, SingleHost
from .pusher import PusherMount, PusherSettings

__all__ = [
    "App",
    "AppSettings",
    "Host",
    "Hosted",
    "Project",
    "ProjectFlags",
    "ProjectLimits",
    "PusherSettings",
    "SingleHost",
    "asgi",
]


def asgi(
    engine: Engine, project: Project | None = None, *, pusher: PusherSettings | None = None, **settings: Any
) -> App:
    """An application that serves one project on `engine` (what `engine.asgi(...)` returns).

    Without a project there is one of the engine's app id whose secret nobody knows: user tokens are all that it takes.
    Run by a server, the application opens the engine if nobody did, and closes what it opened. `settings` are those of
    `AppSettings`, `pusher` those of the event sockets. Raises `InvalidInput` for a project of another app id.
    """
    if project is not None and project.app_id != engine.app_id:
        raise InvalidInput(
            f"the engine is of app {engine.app_id!r}, the project of {project.app_id!r}; make them the same"
        )
    project = project or Project(engine.app_id, secrets.token_hex(10), (secrets.token_hex(32),))
    host = SingleHost(engine, project)
    return App(
        host,
        mounts=[PusherMount(host, settings=pusher), MediaWebhooks(engine.receive_media_webhook)],
        resources=[_open(engine)],
        settings=AppSettings(**settings),
    )


@asynccontextmanager
async def _open(engine: Engine) -> AsyncIterator[None]:
    """The engine, open inside; left as it was by somebody else."""
    if engine.is_open:
        yield
    else:
        async with engine:
            yield
