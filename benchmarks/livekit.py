"""LiveKit with engine and client beside LiveKit's SDK alone: how soon one is in and heard, and what media costs.

Both run in this process, in turn, on one real server on loopback, with the same frames at the same pace; twenty rooms in
a process are measured in processes of their own. The raw SDK has a ready ticket with every permission.
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import subprocess
import sys
import time
from array import array
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any

from utd_core.client import UTDAudioRoomSession, UTDLiveStreamSession
from utd_core.concurrency.deadline import within
from utd_core.engine import Engine
from utd_core.media.frames import AudioFrame, Frame, VideoFrame
from utd_core.media.sources.base import AudioSourceBase, VideoSourceBase
from utd_core.media.sources.pattern import TestPatternVideoSource
from utd_core.media.sources.synthetic import ToneAudioSource
from utd_core.model.command import Actor
from utd_core.model.commands import LeaveSeat, TakeSeat
from utd_livekit.backend import LiveKitBackend
from utd_livekit.server.local import LocalServer

from . import AtMost, Baseline, Result
