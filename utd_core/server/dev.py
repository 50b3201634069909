"""A project for trying things out: made once, kept in a file, and shown with how it is used."""

from __future__ import annotations

import json
import secrets
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from .mounts import EVENTS
from .projects import Project

DEV_FILE = ".utd-dev.toml"


def dev_defaults(folder: Path) -> dict[str, Any]:
    """Settings of `utd serve --dev` that nobody has to give: state in memory, webhooks to this machine, and a project
    whose people sign in as whoever they like.

    Its credentials are those in `.utd-dev.toml` in the folder, which is made the first time; where it cannot be made,
    they are new each time. Raises `InvalidInput` where it cannot be read.
    """
    flags = {"allow_app_key_identity_mint": True}
    webhooks = {"allow_http": True, "allow_private": True}
    return {"store": ":memory:", "project": {**_credentials(folder / DEV_FILE), "flags": flags}, "webhooks": webhooks}


def _credentials(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{file} cannot be read ({error}); delete it, and a new one is made") from None
    made = {"app_id": "dev", "key": secrets.token_hex(10), "secrets": [secrets.token_hex(20)]}
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in made.items()]
    try:
        file.touch(mode=0o600)
        file.write_text("# Credentials of `utd serve --dev`. Delete the file for new ones.\n" + "".join(lines))
    except OSError:
        # A folder that is read-only is no reason not to try things out.
        return made
    return made


def banner(project: Project, address: str) -> str:
    """What somebody needs to try the server: where it is, the credentials, and two lines to paste, once or often."""
    headers = {"X-App-Id": project.app_id, "X-App-Secret": project.secret}
    once = {**headers, "Idempotency-Key": "try-it-out"}
    sockets = address.replace("http", "ws", 1) + EVENTS + project.key
    return f"""\
A project for trying things out; whoever has its key signs in as anybody.

  commands  {address}/api/v1 (what there is: {address}/openapi.json)
  events    {sockets}
  app id    {project.app_id}
  key       {project.key}
  secret    {project.secret}

Sign Ann in:

  {_curl(f"{address}/api/v1/auth/session", headers, {"identity": "ann"})}

Make a room, from Python:

  {_python(f"{address}/api/v1/rooms", once, {"room": "lobby", "type": "audio_room", "owner": "ann"})}
"""


def _curl(url: str, headers: Mapping[str, str], body: Mapping[str, str]) -> str:
    words = ["curl", "--silent", "--show-error", "--fail-with-body", url]
    for name, value in {**headers, "Content-Type": "application/json"}.items():
        words += ["--header", f"{name}: {value}"]
    return shlex.join([*words, "--data", json.dumps(body)])


def _python(url: str, headers: Mapping[str, str], body: Mapping[str, str]) -> str:
    sent = {**headers, "Content-Type": "application/json"}
    # What is JSON is Python too, and its quotes need no other ones around them.
    program = (
        "import json, urllib.request as web; "
        f"request = web.Request({json.dumps(url)}, json.dumps({json.dumps(body)}).encode(), {json.dumps(sent)}); "
        "print(json.load(web.urlopen(request)))"
    )
    return shlex.join(["python3", "-c", program])
