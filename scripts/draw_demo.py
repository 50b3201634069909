"""Draws `docs/assets/demo.svg`: what `utd demo` shows in the middle of its first scene.

    python scripts/draw_demo.py

It plays the scene for real, so the picture is never quite the same twice; draw it again when the view has changed.
"""

from __future__ import annotations

import asyncio
import io
import re
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from utd_core.cli.demo.board import Board
from utd_core.cli.demo.devices import Voice
from utd_core.cli.demo.listener import Hearing
from utd_core.cli.demo.performance import Performance
from utd_core.cli.demo.scenes import SCENES
from utd_core.cli.demo.view import WIDEST, View
from utd_core.hooks import default_manager
from utd_core.testing.wait import eventually

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "assets" / "demo.svg"
LOUD_DBFS = -22.0
FRAMES_BEFORE = 75
FONT_FACES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""They are loaded from another host."""


async def draw() -> str:
    """The terminal as SVG, at a moment in which somebody is heard."""
    console = Console(record=True, width=WIDEST, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    view = View(console, is_live=False)
    board = Board("mock", tuple(scene.name for scene in SCENES), lambda scene, text: None)
    capabilities = default_manager().spec("mock").capabilities
    with TemporaryDirectory() as folder:
        performance = Performance("mock", capabilities, await Voice.load(), Path(folder), board)
        playing = asyncio.create_task(performance.run())
        await eventually(lambda: any(map(is_loud, board.listeners)), timeout=30)
        console.print(view.render(board))
        playing.cancel()
        with suppress(asyncio.CancelledError):
            await playing
    drawn = console.export_svg(title="make demo")
    return FONT_FACES.sub("", drawn).replace("Fira Code, monospace", "ui-monospace, Menlo, DejaVu Sans Mono, monospace")


def is_loud(listener: Hearing) -> bool:
    """Whether the listener hears something in the middle of the words."""
    return len(listener.received) > FRAMES_BEFORE and listener.meter.level.rms > LOUD_DBFS


if __name__ == "__main__":
    PICTURE.write_text(asyncio.run(draw()), encoding="utf-8")
