"""Who is calling.

| credential | headers | may |
|---|---|---|
| secret | `X-App-Id` + `X-App-Secret` | everything in its project, as the application's server |
| key | `X-App-Id` + `X-App-Key` | sign somebody in, where the project allows it |
| user | `Authorization: Bearer <user token>` | what the identity of the token may |

- One credential at a time. Who the caller is follows from it alone, never from a body.
- Secrets and keys are compared in constant time. A wrong one and an unknown project are answered alike.
- Whether a project is suspended is told to those who have shown that they belong to it.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from starlette.datastructures import Headers

from ..errors import ErrorCode, Forbidden, Unauthenticated
from ..model.command import THE_SERVER, Actor, Command
from ..model.commands import CreateSession
from .projects import Host, Hosted

_MOST_CLAIMS = 8_192
"""Characters of a token's claims that are looked at before it is verified."""
_KEPT_CLAIMS = 1_024


class Credential(StrEnum):
    """What a caller showed."""

    SECRET = "secret"
    KEY = "key"
    USER = "user"


_APP_ID = b"x-app-id"
_KINDS = {
    b"x-app-secret": Credential.SECRET,
    b"x-app-key": Credential.KEY,
    b"authorization": Credential.USER,
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who has shown a valid credential of a project that is not suspended."""

    hosted: Hosted
    credential: Credential
    actor: Actor

    def check_may_give(self, command: type[Command]) -> None:
        """Raise `Forbidden` where the credential is not good for this command, whatever the rules say."""
        if self.credential is not Credential.KEY:
            return
        if command is not CreateSession:
            raise Forbidden("the publishable key only signs people in; send the user token that it gets you")
        if not self.hosted.project.flags.allow_app_key_identity_mint:
            raise Forbidden(
                "this project's publishable key signs nobody in; mint sessions with the secret, on your own server",
                code=ErrorCode.APPKEY_IDENTITY_MINT_DISABLED,
            )


async def caller_of(host: Host, headers: Headers) -> Caller:
    """The caller of a request.

    Raises `Unauthenticated`, `Forbidden` (project_suspended), `StoreFailed` or `Closed`.
    """
    app_id, credential, value = _shown(headers)
    if credential is Credential.USER:
        token = _bearer(value)
        hosted = await _find(host, app_id or _claimed_app(token))
        caller = Caller(hosted, credential, hosted.engine.actor_of(token))
    else:
        hosted = await _find(host, app_id)
        project = hosted.project
        if not (project.has_secret(value) if credential is Credential.SECRET else project.has_key(value)):
            raise _unknown()
        caller = Caller(hosted, credential, THE_SERVER)
    if hosted.project.suspended:
        raise Forbidden(
            "this project is suspended; its owner has to settle that and start it again",
            code=ErrorCode.PROJECT_SUSPENDED,
        )
    return caller


def _shown(headers: Headers) -> tuple[str | None, Credential, str]:
    """The project and the one credential that were sent, unchecked. Raises `Unauthenticated`."""
    app_ids, shown = [], []
    for name, value in headers.raw:
        if name == _APP_ID:
            app_ids.append(value.decode("latin-1"))
        elif name in _KINDS:
            shown.append((_KINDS[name], value.decode("latin-1")))
    if not shown:
        raise Unauthenticated(
            "no credential; send X-App-Id with X-App-Secret, X-App-Id with X-App-Key, or Authorization: Bearer"
        )
    if len(shown) > 1 or len(app_ids) > 1:
        kinds = " and ".join(kind.value for kind, _ in shown[:3])
        raise Unauthenticated(
            f"several credentials at once ({kinds}), or several projects; send one",
            code=ErrorCode.AMBIGUOUS_CREDENTIALS,
        )
    return (app_ids[0] if app_ids else None), *shown[0]


async def _find(host: Host, app_id: str | None) -> Hosted:
    hosted = await host.find(app_id) if app_id else None
    if hosted is None:
        raise _unknown()
    return hosted


def _bearer(value: str) -> str:
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("the authorization is not of the form `Bearer <user token>`; send it so")
    return token.strip()


def _claimed_app(token: str) -> str | None:
    """Of which project a token says that it is; its engine then verifies it."""
    _, _, rest = token.partition(".")
    claims = rest.partition(".")[0]
    return None if len(claims) > _MOST_CLAIMS else _app_in(claims)


@lru_cache(_KEPT_CLAIMS)
def _app_in(claims: str) -> str | None:
    try:
        app_id = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["app"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return app_id if isinstance(app_id, str) else None


def _unknown() -> Unauthenticated:
    return Unauthenticated("no project has this credential; look at X-App-Id and at what goes with it")
