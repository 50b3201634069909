"""The private parts of the SDK that `utd_livekit.sdk` touches are where they were."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient, FfiHandle
from livekit.rtc._proto import ffi_pb2

from utd_livekit.sdk import let_go, warm_up


def test_the_library_is_loaded_once() -> None:
    warm_up()
    first = FfiClient.instance
    warm_up()
    assert FfiClient.instance is first


LOAD_AT_ONCE = """
import threading
from livekit.rtc._ffi_client import FfiClient
from utd_livekit.sdk import warm_up

made, make, together = [], FfiClient.__init__, threading.Barrier(8)

def note(client):
    made.append(client)
    make(client)

def load():
    together.wait()
    warm_up()

FfiClient.__init__ = note
threads = [threading.Thread(target=load) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(made))
"""


def test_eight_threads_that_load_it_at_once_load_it_once() -> None:
    ran = subprocess.run([sys.executable, "-c", LOAD_AT_ONCE], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1"]


def test_a_request_that_switches_a_track_off_exists() -> None:
    request = ffi_pb2.FfiRequest()
    request.enable_remote_track_publication.track_publication_handle = 1
    request.enable_remote_track_publication.enabled = False


@pytest.mark.usefixtures("library")
async def test_what_is_let_go_of_is_disposed_of() -> None:
    source = rtc.AudioSource(48_000, 1)
    track = rtc.LocalAudioTrack.create_audio_track("voice", source)
    let_go(track, source, None)
    let_go(track, source)
    for each in (track, source):
        handle = each._ffi_handle
        assert isinstance(handle, FfiHandle)
        assert handle.disposed
    await asyncio.sleep(0)


async def test_a_room_has_its_handle_and_its_participant_where_they_are_let_go_of() -> None:
    room = rtc.Room()
    assert room._ffi_handle is None
    assert room._local_participant is None
