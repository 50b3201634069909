"""`utd webhook`: what applications are told, as they see it, and what they never took."""

from __future__ import annotations

import asyncio
import json
import secrets as random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ..errors import InvalidInput, NotFound, UTDStreamException
from ..media.extras import needs_extra
from .database import File, Store, settings_of, with_database
from .endpoints import add, list_endpoints, remove, rotate

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from ..server.webhooks import Delivery
    from ..store.outbox import DeadLetter, Outbox
    from ..store.sql_store import SqlStore

T = TypeVar("T")

VARIABLE = "UTD_WEBHOOK_SECRET"
REMEMBERED = 10_000
"""Ids of events that a repeat is recognised by."""

webhook = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
webhook.command("add")(add)
webhook.command("list")(list_endpoints)
webhook.command("rotate")(rotate)
webhook.command("remove")(remove)

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Of = Annotated[str | None, typer.Option("--project", metavar="APP_ID", help="Of this one; else that in the settings.")]


@webhook.callback()
def about() -> None:
    """Webhooks: what applications are told, as they see it, and what they never took."""


@webhook.command()
def listen(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8090,
    secret: Annotated[
        list[str] | None, typer.Option(envvar=VARIABLE, help="The endpoint's secret; one is made where none is given.")
    ] = None,
    status: Annotated[int, typer.Option(help="What to answer; 500 shows how it is tried again.")] = 200,
    json_output: Json = False,
) -> None:
    """Be an endpoint: print what comes, and whether it is signed as it should be."""
    with needs_extra("utd webhook listen", "server"):
        import uvicorn

        from ..server.serving.listening import address_of, listening

    known = tuple(secret or [random.token_hex(16)])
    listener = Listener(known, status, lambda line: print(line, flush=True), as_json=json_output)
    with listening(host, port) as bound:
        if not json_output:
            print(f"Listening at {address_of(bound)}/ (any path)", flush=True)
            if not secret:
                print(f"The secret for it: {known[0]}", flush=True)
        config = uvicorn.Config(listener, lifespan="off", log_config=None, access_log=False, ws="none")
        asyncio.run(uvicorn.Server(config).serve([bound]))


class Listener:
    """An ASGI application that takes deliveries and shows them, a line for each."""

    def __init__(self, secrets: tuple[str, ...], status: int, show: Callable[[str], None], *, as_json: bool) -> None:
        self._secrets = secrets
        self._status = status
        self._show = show
        self._as_json = as_json
        self._seen: deque[str] = deque(maxlen=REMEMBERED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.requests import Request
        from starlette.responses import PlainTextResponse

        from ..server.webhooks import SIGNATURE, verify

        request = Request(scope, receive)
        try:
            delivery = verify(await request.body(), request.headers.get(SIGNATURE), self._secrets)
        except UTDStreamException as error:
            self._show(self._line_of_refusal(error))
            await PlainTextResponse(error.message, 401)(scope, receive, send)
            return
        self._show(self._line(delivery))
        self._seen.append(delivery.id)
        await PlainTextResponse("", self._status)(scope, receive, send)

    def _line(self, delivery: Delivery) -> str:
        again = delivery.id in self._seen
        if self._as_json:
            return json.dumps({**asdict(delivery), "again": again}, ensure_ascii=False)
        where = delivery.room or delivery.call or delivery.app_id
        notes = f" (attempt {delivery.attempt})" if delivery.attempt > 1 else ""
        notes += " (again)" if again else ""
        data = json.dumps(delivery.data, ensure_ascii=False)
        at = time.strftime("%H:%M:%S", time.localtime(delivery.at))
        return f"{at} {where} #{delivery.sequence} {delivery.type}{notes} {data}"

    def _line_of_refusal(self, error: UTDStreamException) -> str:
        return json.dumps({"refused": error.message}) if self._as_json else f"REFUSED: {error.message}"


@webhook.command()
def dead(
    project: Of = None,
    config: File = None,
    store: Store = None,
    endpoint: Annotated[str | None, typer.Option(help="Only those of this endpoint.")] = None,
    after: Annotated[int, typer.Option(help="Only those whose number is beyond this one.")] = 0,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    json_output: Json = False,
) -> None:
    """List the events that an endpoint never took in a day of tries."""
    for letter in _with_outbox(config, store, project, lambda outbox: outbox.dead(endpoint, after=after, limit=limit)):
        print(_letter(letter, as_json=json_output))


@webhook.command()
def redeliver(
    numbers: Annotated[list[int] | None, typer.Argument(help="Numbers that `utd webhook dead` lists.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are dead.")] = False,
    project: Of = None,
    config: File = None,
    store: Store = None,
) -> None:
    """Have dead events tried again, as if they had just happened, by the servers that run."""
    if bool(numbers) == everything:
        raise InvalidInput("name the numbers of some, or --all")

    async def revive(outbox: Outbox) -> int:
        count, wanted = 0, list(numbers or [])
        if everything:
            after = 0
            while page := await outbox.dead(after=after):
                wanted += [letter.number for letter in page]
                after = wanted[-1]
        for number in wanted:
            count += await outbox.revive(number, time.time())
        return count

    print(f"{_with_outbox(config, store, project, revive)} will be tried again")


def _letter(letter: DeadLetter, *, as_json: bool) -> str:
    sent = letter.outgoing
    if as_json:
        told = json.loads(sent.payload)
        why = {"number": letter.number, "endpoint": sent.endpoint, "tries": letter.tries, "reason": letter.reason}
        return json.dumps({**why, **told}, ensure_ascii=False)
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(sent.at))
    return f"{letter.number} {sent.endpoint} {at} {sent.kind} {sent.key!r} {sent.type}: {letter.reason}"


def _with_outbox(
    config: Path | None, store: str | None, project: str | None, operation: Callable[[Outbox], Awaitable[T]]
) -> T:
    """The result of an operation on the outbox of a project in the store that the settings name."""
    settings = settings_of(config, store)
    inline = None if settings.project is None else settings.project.app_id
    app_id = project or inline
    if app_id is None:
        raise InvalidInput("the settings name no project; give --project")

    async def run(database: SqlStore) -> T:
        # Opening what a project has there makes its place, so this must not be a slip of the pen.
        if app_id != inline and await database.projects.load(app_id) is None:
            raise NotFound(f"there is no project {app_id!r} in the store that the settings name")
        async with database.scoped(app_id) as rows:
            return await operation(rows.outbox)

    return with_database(settings, run)
