"""What the connection half does: C1 and on."""

from __future__ import annotations

from ....media.faults import Fault
from .registry import Part, Registry, Section


def declare(registry: Registry) -> None:
    """Add the behaviours of the connection half."""

    def section(title: str, *needs: str) -> Section:
        return Section(registry, Part.CONNECTION, title, needs)

    connect = section("Connect")
    connect.declare(1, "A new connection is connected, and knows its room, its identity and its grant.", participants=1)
    connect.declare(2, "Who is there already is in `participants` when `connect` returns.")
    connect.declare(3, "Those who are there are told once of somebody who joins, with identity and name.")
    connect.declare(4, "A connection is never among its own `participants`.")
    connect.declare(
        5,
        "A server that never answers makes `DeadlineExceeded`, at the deadline.",
        faults=(Fault.CONNECT_SILENCE,),
        participants=1,
    )
    connect.declare(
        6, "A connect that failed leaves nobody behind, and the next one works.", faults=(Fault.CONNECT_SILENCE,)
    )
    connect.declare(7, "Several identities connect at the same time and all see each other.", participants=4)

    disconnect = section("Disconnect")
    disconnect.declare(8, "`aclose` ends the events with DISCONNECTED, CLIENT_LEFT.", participants=1)
    disconnect.declare(9, "The others are told once of somebody who leaves, and it is gone from `participants`.")
    disconnect.declare(10, "`aclose` is idempotent, from several tasks at once too.", participants=1)
    disconnect.declare(11, "After `aclose` every method of the connection raises `Closed`.")
    disconnect.declare(12, "Who left connects again.")
    disconnect.declare(
        13,
        "A second connection of an identity replaces the first, which ends with DUPLICATE_IDENTITY.",
        "duplicate_identity",
    )
    disconnect.declare(
        14,
        "After a replacement the others see the identity once, without its former tracks.",
        "duplicate_identity",
        "audio",
    )
    disconnect.declare(15, "Closing the backend ends every connection, and connecting raises `Closed`.")
    disconnect.declare(16, "Closing the backend is idempotent, from several tasks at once too.", participants=1)

    publish = section("Publish")
    publish.declare(17, "The others are told of a published track: id, source, name.", "audio")
    publish.declare(18, "Publishing without a grant is `PublishRefused` at once, and nobody sees a track.", "audio")
    publish.declare(19, "The grant of one source is not the grant of another.", "audio", "video")
    publish.declare(20, "A microphone arrives as a microphone.", "audio")
    publish.declare(21, "A camera arrives as a camera.", "video")
    publish.declare(22, "A shared screen arrives as a shared screen.", "screen_share")
    publish.declare(23, "The sound of a shared screen arrives as such.", "screen_share", "audio")
    publish.declare(24, "Tracks of several sources play side by side and do not mix.", "audio", "screen_share")
    publish.declare(25, "A second track of a source replaces the first.", "audio")
    publish.declare(26, "Who joins late gets the tracks that are there, and knows which are muted.", "audio")
    publish.declare(27, "Unpublishing is told to the others, ends their readers and is idempotent.", "audio")
    publish.declare(28, "Writing to an unpublished track raises `Closed`.", "audio", participants=1)
    publish.declare(29, "A source published again is heard again.", "audio")
    publish.declare(30, "The tracks of a participant who leaves end.", "audio")
    publish.declare(31, "Muting is told as the publisher's own, and nothing is heard.", "audio")
    publish.declare(32, "Unmuting is told, and the track is heard again.", "audio")
    publish.declare(33, "Frames written while muted are dropped and counted.", "audio", participants=1)
    publish.declare(34, "Muting a muted track tells nobody anything.", "audio")
    publish.declare(
        35, "A frame of the wrong kind, rate or channels is `InvalidFrame`, and the track goes on.", "audio"
    )
    publish.declare(36, "A picture of the wrong size is `InvalidFrame`, and the track goes on.", "video")
    publish.declare(37, "A simulcast track is received like any other.", "simulcast", "video")

    subscribe = section("Subscribe")
    subscribe.declare(38, "With `auto_subscribe` tracks are subscribed unasked.", "audio")
    subscribe.declare(
        39,
        "Without `auto_subscribe` a track is announced, and received only when asked for.",
        "audio",
        "selective_subscription",
    )
    subscribe.declare(40, "Refusing a track is told, and ends its readers.", "audio", "selective_subscription")
    subscribe.declare(41, "A refused track can be taken again.", "audio", "selective_subscription")
    subscribe.declare(42, "Subscribing to an unknown track is `NotFound`.", "selective_subscription", participants=1)
    subscribe.declare(43, "Reading a track that is unknown or not subscribed is `NotFound`.", participants=1)
    subscribe.declare(44, "A participant without `subscribe` receives no media.", "audio")
    subscribe.declare(
        45, "A video that nobody reads is not sent, and is sent when somebody reads it.", "adaptive_stream", "video"
    )

    media = section("Media")
    media.declare(46, "Sound arrives with its pitch.", "audio")
    media.declare(47, "Sound arrives in the order in which it was written.", "audio")
    media.declare(48, "As much sound arrives as was written.", "audio")
    media.declare(49, "Audio frames follow each other without holes or overlaps in their timestamps.", "audio")
    media.declare(50, "The audio frames of a reader all have one shape.", "audio")
    media.declare(51, "Every declared sample rate is carried with its pitch.", "audio")
    media.declare(52, "Both channels of stereo sound are carried.", "audio")
    media.declare(53, "Pictures arrive with their size.", "video")
    media.declare(54, "Pictures arrive with their brightness, in order.", "video")
    media.declare(55, "Pictures have growing timestamps at the pace at which they were written.", "video")
    media.declare(56, "Sound arrives bit for bit, with its timestamps.", "audio", "exact_media")
    media.declare(57, "Pictures arrive bit for bit, with their timestamps.", "video", "exact_media")

    readers = section("Readers", "audio")
    readers.declare(58, "Several readers of a track each get every frame.")
    readers.declare(59, "A slow reader with DROP_OLDEST gets the newest frames and counts what it lost.")
    readers.declare(60, "A slow reader with DROP_NEWEST gets the oldest frames and counts what it lost.")
    readers.declare(61, "A slow reader with CLOSE gets what is held, then `Closed`.")
    readers.declare(62, "A slow reader delays neither the publisher nor another reader.")
    readers.declare(63, "Closing a reader ends it alone: the subscription and other readers stay.")
    readers.declare(64, "Readers end when their own connection is closed.")
    readers.declare(65, "The counters of a reader add up.")
    readers.declare(66, "A cancelled read loses no frame.")

    data = section("Data", "data")
    data.declare(67, "Data reaches everybody else with its sender, and never the sender itself.")
    data.declare(68, "Reliable data arrives once and in order.")
    data.declare(69, "Data to some reaches only those.", "data_targeted", participants=3)
    data.declare(70, "Unknown identities among the receivers are ignored.", "data_targeted")
    data.declare(71, "Data keeps its topic.", "data_topics")
    data.declare(72, "Lossy data arrives and says that it is lossy.", "data_lossy")
    data.declare(73, "Data of exactly `max_data_bytes` arrives, any bytes; one more is `TooLarge`.")
    data.declare(74, "Without `publish_data` in the grant sending data is `Forbidden` and reaches nobody.")

    events = section("Events")
    events.declare(75, "The life of a track is told in order: joined, published, subscribed, ended, left.", "audio")
    events.declare(76, "`participants`, `grant` and `state` are never behind an event that was handed out.", "audio")
    events.declare(77, "The events of a reader too slow for `event_capacity` end with `Closed`.")
    events.declare(78, "After the DISCONNECTED event no event follows.")
    events.declare(79, "A slow event reader does not hold up another participant.", participants=3)

    faults = section("Faults")
    faults.declare(
        80,
        "A lost signal is resumed: RECONNECTING, CONNECTED, the same tracks, and sound again.",
        "audio",
        "resumes",
        faults=(Fault.SIGNAL_DROP,),
    )
    faults.declare(
        81, "The others see nobody leave while a signal is resumed.", "audio", "resumes", faults=(Fault.SIGNAL_DROP,)
    )
    faults.declare(
        82,
        "What happened while the signal was lost is known afterwards.",
        "audio",
        "resumes",
        faults=(Fault.SIGNAL_DROP,),
    )
    faults.declare(
        83, "A full reconnect brings published tracks back with the same ids.", "audio", faults=(Fault.FULL_RECONNECT,)
    )
    faults.declare(84, "Reconnects are counted.", faults=(Fault.FULL_RECONNECT,), participants=1)
    faults.declare(
        85,
        "A connection closed while it reconnects ends promptly.",
        "resumes",
        faults=(Fault.SIGNAL_DROP,),
        participants=1,
    )
    faults.declare(
        86,
        "When the server ends the connection, the reason is SERVER_SHUTDOWN.",
        faults=(Fault.SERVER_LEAVE,),
        participants=1,
    )
    faults.declare(
        87,
        "When the server dies, the client notices, and the reason is SIGNAL_LOST.",
        faults=(Fault.NODE_FAILURE,),
        participants=1,
    )
    faults.declare(
        88,
        "When somebody else connects with the identity, the reason is DUPLICATE_IDENTITY.",
        faults=(Fault.DUPLICATE_IDENTITY,),
        participants=1,
    )
    faults.declare(
        89,
        "When the token ends while connected, the reason is TOKEN_EXPIRED.",
        faults=(Fault.TOKEN_EXPIRY,),
        participants=1,
    )
    faults.declare(
        90, "Frames to a slow subscriber arrive late and in order.", "audio", faults=(Fault.SLOW_SUBSCRIBER,)
    )
    faults.declare(
        91,
        "With all packets lost no frame arrives, and reliable data still does.",
        "audio",
        "data",
        faults=(Fault.PACKET_LOSS,),
    )
    faults.declare(92, "With some packets lost, some frames arrive, in order.", "audio", faults=(Fault.PACKET_LOSS,))
    faults.declare(93, "Under jitter every frame arrives, in order.", "audio", faults=(Fault.JITTER,))

    interrupted = section("Cancelling and closing")
    interrupted.declare(94, "A connect cancelled at any await leaves nobody and nothing behind.")
    interrupted.declare(95, "A publish cancelled at any await leaves no half-published track.", "audio")
    interrupted.declare(
        96,
        "Write, mute, unpublish, subscribe and data, cancelled at any await, leave the connection working.",
        "audio",
    )
    interrupted.declare(97, "A cancelled `aclose` still ends the connection.")
    interrupted.declare(
        98,
        "Closing the connection at any await of another method ends that method with an error of this package.",
        "audio",
    )
    interrupted.declare(99, "Closing the backend at any await of connect leaves nothing behind.")
    interrupted.declare(100, "A connection may be closed by the task that reads its events.")
    interrupted.declare(101, "Removal, room closing and backend closing during a publish end it.", "audio", "control")

    account = section("Statistics and declarations")
    account.declare(102, "Frames and bytes of tracks are counted on both sides.", "audio")
    account.declare(103, "Data messages are counted on both sides.", "data")
    account.declare(104, "The event queue's counters are part of the statistics.")
    account.declare(105, "Joining, publishing and leaving over and over leaves no task, thread or descriptor.", "audio")
    account.declare(106, "No more participants connect than the backend declares.", "max_participants", participants=1)
    account.declare(
        107,
        "With a virtual clock that stands still, no deadline passes.",
        "virtual_time",
        faults=(Fault.CONNECT_SILENCE,),
        participants=1,
    )
    account.declare(
        108, "What the capabilities deny raises `Unsupported`, naming the backend and the feature.", participants=1
    )
    account.declare(
        109, "A fault that is not listed raises `Unsupported`, naming the backend and the fault.", participants=1
    )
    account.declare(110, "What the backend object declares is what its plugin registered.", participants=1)

    quality = section("Quality of simulcast videos", "simulcast", "video")
    quality.declare(111, "Who wishes nothing of a simulcast video gets it in the size in which it was published.")
    quality.declare(112, "A wish is met: MEDIUM has about half of each side, LOW about a quarter.")
    quality.declare(113, "A wish is changed while the video is read: less, and all of it again, in order.")
    quality.declare(114, "What one participant wishes changes nothing for another.", participants=3)
    quality.declare(115, "A wish outlasts refusing the track and taking it again.", "selective_subscription")
    quality.declare(
        116, "A wish outlasts a full reconnect, the reader's and the publisher's.", faults=(Fault.FULL_RECONNECT,)
    )
    quality.declare(117, "Without simulcast there is one size, whatever is wished.")
    quality.declare(118, "A wish of an unknown track or one's own is `NotFound`.")
    quality.declare(119, "A wish of a track of sound is `InvalidInput`.", "audio")

    state = section("State")
    state.declare(120, "A new connection is told no StateChanged: CONNECTED is the news that it is so again.")

    speakers = section("Speakers", "active_speakers", "audio")
    speakers.declare(121, "Who begins to speak is told as a speaker, to the others and to itself.")
    speakers.declare(122, "Who falls silent, mutes or unpublishes is told as a speaker no more.")
    speakers.declare(123, "A breath between words is no end: a speaker stays one.")
    speakers.declare(124, "Of two who speak at once the louder one is told first.")
    speakers.declare(125, "Silence, a faint hum and a click are no speech.")
    speakers.declare(126, "Who joins while somebody speaks is told who it is.")
    speakers.declare(127, "A speaker who leaves is one no more.")
    speakers.declare(128, "Only a microphone makes a speaker, not the sound of a shared screen.", "screen_share")
    speakers.declare(129, "Whoever reads no events is not overrun by those of speakers.")

    conditions = section("Quality of connections", "connection_quality", "audio")
    conditions.declare(130, "How well they are connected is told to a publisher and to those who hear it.")
    conditions.declare(131, "The same quality is not told twice one after the other.")
    conditions.declare(
        132,
        "A connection that loses packets is told as a worse one, and as a good one again.",
        faults=(Fault.PACKET_LOSS,),
    )

    privacy = section("End-to-end encryption", "e2ee")
    privacy.declare(133, "Who has the key of a publisher hears and sees what is published.", "audio", "video")
    privacy.declare(
        134, "Who has no key, or another one, hears and sees nothing of it.", "audio", "video", participants=4
    )
    privacy.declare(135, "Data is for those with the sender's key.", "data", participants=4)

    codecs = section("Codecs", "video_codecs", "video")
    codecs.declare(136, "A video arrives in each codec that is declared; in another one publishing is `Unsupported`.")
    codecs.declare(137, "A codec for a track of sound is `InvalidInput`.", "audio")

    minds = section("Changes of mind")
    minds.declare(
        138, "A track that is muted and unmuted as fast as one likes ends as was said last, by nobody else.", "audio"
    )
    minds.declare(
        139,
        "A track that is taken and refused as fast as one likes is received if it was taken last.",
        "audio",
        "selective_subscription",
    )
    minds.declare(140, "A video whose readers come and go as fast as one likes is seen by the last one.", "video")
