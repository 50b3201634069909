"""`utd demo`: a room full of people hears a real voice.

| module | holds |
|---|---|
| `command` | options, exit status, Ctrl-C |
| `performance` | one embedded engine, the cast, the scenes one after the other |
| `scenes` | what happens in an audio room, a call and a live stream, written as an application would |
| `stage` | what every scene needs: sessions that are left in the end, recorders, people who speak |
| `voice`, `listener` | who speaks, frame by frame in real time; who records what arrives |
| `report`, `chart` | did they hear it, and who spoke when |
| `board`, `view` | what is going on now, and how a terminal shows it |
| `folder` | where the recordings go; nothing is left of a run that was stopped |
"""

from .command import demo

__all__ = ["demo"]
