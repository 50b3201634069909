"""Write docs/reference/errors.md from utd_core/errors.py.

python scripts/reference_errors.py            write the page
python scripts/reference_errors.py --check    exit 1 when the page is not what the module says
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from utd_core import errors
from utd_core.errors import EXCEPTION_OF, ErrorCode

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "errors.md"

HEAD = """\
# Errors

Everything that this package raises is a `UTDStreamException(message, status_code, code, details)`. The message says
what happened and what to do next; the code is stable, and the same in Python and on the wire; the status is the HTTP
status that the code has there, also where no HTTP is involved. A refusal changes nothing.

    try:
        await session.take_seat(3)
    except Conflict as error:
        if error.code == ErrorCode.SEAT_TAKEN:
            await session.take_seat("any")

<!-- Written by scripts/reference_errors.py from utd_core/errors.py; change that, then run it. -->

## Classes
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *tree(), *codes()]).rstrip() + "\n"


def tree() -> Iterator[str]:
    yield "```text"
    paragraphs = (inspect.getdoc(errors) or "").split("\n\n")
    yield from (line[4:] for line in paragraphs[1].splitlines())
    yield "```"
    yield ""


def codes() -> Iterator[str]:
    meanings = docstrings(ErrorCode)
    yield "## Codes"
    for group, members in groups():
        yield ""
        yield f"### {group}"
        yield ""
        yield "| code | status | class | meaning |"
        yield "|---|---|---|---|"
        for code in members:
            kind = EXCEPTION_OF[code]
            yield f"| `{code.value}` | {kind.default_status} | `{kind.__name__}` | {meanings[code.name]} |"


def groups() -> Iterator[tuple[str, list[ErrorCode]]]:
    """The codes under the comments that stand between them in the source."""
    title, members = "", list[ErrorCode]()
    for line in inspect.getsource(ErrorCode).splitlines():
        text = line.strip()
        if text.startswith("# "):
            if members:
                yield title, members
            title, members = text[2:].capitalize(), []
        elif (name := text.partition(" = ")[0]) in ErrorCode.__members__:
            members.append(ErrorCode[name])
    yield title, members


def docstrings(kind: type) -> dict[str, str]:
    """What stands below each member."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for member, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            (name,) = member.targets
            assert isinstance(name, ast.Name)
            found[name.id] = " ".join(str(below.value.value).split())
    return found


def main() -> int:
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is not what utd_core/errors.py says; run python scripts/reference_errors.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
