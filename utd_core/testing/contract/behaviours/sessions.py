"""What the session API does on a backend, from end to end: S1 and on."""

from __future__ import annotations

from ....media.faults import Fault
from .registry import Part, Registry, Section


def declare(registry: Registry) -> None:
    """Add the behaviours of the sessions."""

    def section(title: str, *needs: str) -> Section:
        return Section(registry, Part.SESSIONS, title, needs)

    seats = section("Audio room: seats", "audio", "control", "grants_live")
    seats.declare(1, "A host who takes a seat is heard by the listeners.")
    seats.declare(2, "Taking a seat grants the microphone on the media plane; leaving it takes it away and is silent.")
    seats.declare(3, "Without a seat the media plane grants no source, and opening the microphone is `Forbidden`.")
    seats.declare(4, "Several who are seated speak at once, and each is heard as himself.", participants=3)
    seats.declare(5, "An approved request to speak seats its sender, who is heard without doing anything more.")
    seats.declare(6, "Who moves to another seat goes on being heard, in the same track.")
    seats.declare(7, "Locking a taken seat evicts its occupant, who is heard no more.")
    seats.declare(8, "A seat muted by the host is silent; unmuted, its occupant speaks again.")
    seats.declare(
        9,
        "A seat whose grant is late is heard as soon as the grant comes.",
        faults=(Fault.GRANT_DELAY,),
    )
    seats.declare(10, "A seat left before its late grant comes is never heard.", faults=(Fault.GRANT_DELAY,))
    seats.declare(11, "A grant that fails is tried again until the seat is heard.", faults=(Fault.GRANT_FAILURE,))

    people = section("Audio room: coming and going", "audio", "control", "grants_live")
    people.declare(12, "Who is kicked is disconnected with REMOVED, gone for the others, and may join again.")
    people.declare(13, "Who is kicked and blocked cannot join again, and no other ticket of his brings him back.")
    people.declare(14, "Backstage the host is alone; the audience is let in, and hears, once the room is live.")
    people.declare(15, "Back in backstage nobody of the audience hears anything, and live again everybody does.")
    people.declare(16, "A session that has left joins again, is seated and heard.")
    people.declare(
        17, "A second device of an identity replaces the first, which ends with REPLACED.", "duplicate_identity"
    )
    people.declare(18, "Data of a session reaches everybody else with its sender, and not the sender.", "data")
    people.declare(19, "The end of the room disconnects everybody with ROOM_ENDED.")

    stream = section("Live stream", "audio", "control")
    stream.declare(20, "Viewers see and hear the host who goes live.", "video")
    stream.declare(21, "A host who goes live without video is heard.")
    stream.declare(22, "A viewer is granted no source, and opening microphone or camera is `Forbidden`.")
    stream.declare(23, "A viewer invited to the stage co-publishes, and is seen and heard.", "video", "grants_live")
    stream.declare(
        24, "Who is removed from the stage is dark and silent at once, and goes on watching.", "video", "grants_live"
    )
    stream.declare(
        25, "An approved stage request brings its sender on stage with open devices.", "video", "grants_live"
    )
    stream.declare(
        26,
        "Several co-publish at once, and each is seen and heard as himself.",
        "video",
        "grants_live",
        participants=4,
    )

    calls = section("Calls", "audio")
    calls.declare(27, "Both sides of an audio call hear each other.")
    calls.declare(28, "Both sides of a video call hear and see each other.", "video")
    calls.declare(29, "A caller alone is connected while it rings; the callee connects by accepting.")
    calls.declare(30, "The room of a call holds its two, and a third cannot connect.", "control")
    calls.declare(31, "Either side's end disconnects both.")
    calls.declare(32, "A rejected call disconnects the caller.")
    calls.declare(33, "A cancelled call rings no more and disconnects the caller.")
    calls.declare(34, "A call unanswered for its ring timeout is missed and disconnects the caller.")
    calls.declare(35, "A callee in a call is busy for a third, and the call goes on undisturbed.")
    calls.declare(36, "When one device answers the others stop ringing, and the first is heard.")
    calls.declare(37, "The same two sessions call again, in the other direction too.")
    calls.declare(38, "The media room of a call that is over is closed.", "control")

    returning = section("Coming back", "audio")
    returning.declare(
        39,
        "A speaker whose signal drops keeps the seat and is heard throughout.",
        "control",
        "grants_live",
        "resumes",
        faults=(Fault.SIGNAL_DROP,),
    )
    returning.declare(
        40,
        "A speaker whom the server disconnects comes back by itself, to the same seat, and is heard.",
        "control",
        "grants_live",
        faults=(Fault.SERVER_LEAVE,),
    )
    returning.declare(
        41,
        "A call whose one side is disconnected by the server goes on when it is back, in both directions.",
        faults=(Fault.SERVER_LEAVE,),
    )
    returning.declare(
        42,
        "A host whose connection is rebuilt is seen and heard again without going live anew.",
        "control",
        "video",
        faults=(Fault.FULL_RECONNECT,),
    )

    seen = section("Who speaks, and how well", "audio", "control", "grants_live")
    seen.declare(
        43,
        "A room shows who speaks, how loud, who has the word, and when it is quiet again.",
        "active_speakers",
    )
    seen.declare(44, "A room shows how well a speaker is connected.", "connection_quality")
    seen.declare(
        45,
        "A room shows the metadata and attributes that the server side gives to somebody.",
        "profiles",
    )
