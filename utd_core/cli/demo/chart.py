"""`levels.png`: who spoke when, and who heard it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...media.extras import needs_extra
from .devices import FRAME_MS, FRAME_S, SAMPLE_RATE
from .report import Heard, SceneReport, Take, read_wav

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOWEST_DBFS = -60.0
_COLOURS = (("#c2410c", "#fdba74"), ("#1d4ed8", "#93c5fd"))
"""For each speaker of a scene: what was said, and what was heard of it."""
_ROW_INCHES = 0.42
_INK, _FAINT, _BAD = "#1c1917", "#a8a29e", "#b91c1c"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the chart. `seconds` since the scene's begin, `dbfs` at that time; `note` stands at the right."""

    label: str
    seconds: Sequence[float]
    dbfs: Sequence[float]
    colour: str
    note: str = ""
    is_bad: bool = False


def draw(path: Path, backend: str, scenes: Iterable[tuple[SceneReport, Sequence[Take]]]) -> None:
    """Draw the scenes that were played, one above the other. Blocking.

    Raises `UTDStreamException` (missing_extra) without matplotlib.
    """
    with needs_extra("levels.png", "demo"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    pictures = [(report.scene.replace("_", " "), rows_of(report, takes)) for report, takes in scenes]
    heights = [len(rows) + 1.2 for _, rows in pictures]
    height = 1.0 + _ROW_INCHES * sum(heights)
    layout = ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12)
    figure = Figure(figsize=(10, height), layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    title = f"Who spoke when, and who heard it · backend {backend}"
    figure.suptitle(title, color=_INK, weight="bold", x=0.01, ha="left")
    panels = figure.subplots(len(pictures), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (title, rows) in zip(panels, pictures, strict=True):
        _draw_scene(panel, title, rows)
    panels[-1].set_xlabel(f"seconds since the scene began; heights are {_LOWEST_DBFS:.0f} to 0 dBFS", color=_INK)
    figure.savefig(path, dpi=150)


def rows_of(report: SceneReport, takes: Sequence[Take]) -> list[Row]:
    """Each speaker, followed by those who heard it."""
    heard = {each.identity: each for each in report.listeners}
    rows: list[Row] = []
    for index, speaker in enumerate(dict.fromkeys(take.listener.part.hears for take in takes)):
        said_colour, heard_colour = _COLOURS[index % len(_COLOURS)]
        own = [take for take in takes if take.listener.part.hears == speaker]
        microphone, origin = own[0].microphone, own[0].listener.origin
        loudness = [] if microphone is None else microphone.loudness
        late = "" if microphone is None else f"at most {microphone.worst_lateness * 1_000:.1f} ms late"
        seconds = [each.at - origin for each in loudness]
        rows.append(Row(f"{speaker} speaks", seconds, [each.dbfs for each in loudness], said_colour, late))
        for take in own:
            outcome = heard[take.listener.part.identity]
            dbfs = levels_of(read_wav(take.listener.path))
            at = [number * FRAME_S for number in range(len(dbfs))]
            label = f"{outcome.identity} hears {speaker}"
            rows.append(Row(label, at, dbfs, heard_colour, _note(outcome), not outcome.ok))
    return rows


def levels_of(pcm: bytes) -> list[float]:
    """RMS of each 20 ms of a recording, dBFS."""
    with needs_extra("levels.png", "demo"):
        import numpy as np
    size = SAMPLE_RATE * FRAME_MS // 1_000
    samples = np.frombuffer(pcm, "<i2").astype(np.float64) / 32_768
    blocks = samples[: len(samples) // size * size].reshape(-1, size)
    rms = np.sqrt((blocks**2).mean(axis=1))
    levels: list[float] = (20 * np.log10(np.maximum(rms, 1e-6))).tolist()
    return levels


def _note(heard: Heard) -> str:
    frames = f"{heard.received_frames}/{heard.expected_frames} frames"
    delay = "" if heard.delay_ms is None else f" · {heard.delay_ms:.1f} ms"
    return f"{frames} · likeness {heard.correlation:.2f}{delay}"


def _draw_scene(panel: Axes, title: str, rows: Sequence[Row]) -> None:
    panel.set_title(title, loc="left", color=_INK, weight="bold", fontsize="medium")
    for number, row in enumerate(rows):
        base = len(rows) - 1 - number
        tops = [base + 0.86 * max(0.0, 1 - level / _LOWEST_DBFS) for level in row.dbfs]
        panel.axhline(base, color="#e7e5e4", linewidth=0.8)
        panel.fill_between(row.seconds, base, tops, color=row.colour, linewidth=0, step="post")
        transform: Any = panel.get_yaxis_transform()
        colour = _BAD if row.is_bad else _FAINT if row.note.startswith("at most") else _INK
        panel.text(1.01, base + 0.2, row.note, transform=transform, color=colour, fontsize="small", va="baseline")
    panel.set_ylim(-0.1, len(rows))
    panel.set_yticks([len(rows) - 1 - number + 0.35 for number in range(len(rows))], [row.label for row in rows])
    panel.tick_params(axis="y", length=0, labelcolor=_INK)
    panel.tick_params(axis="x", colors=_FAINT, labelcolor=_INK)
    for side in ("top", "left", "right"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(_FAINT)
