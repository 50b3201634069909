"""What the server half does: M1 and on."""

from __future__ import annotations

from ....media.faults import Fault
from ....model.identifiers import MAX_MEDIA_NAME
from .registry import Part, Registry, Section


def declare(registry: Registry) -> None:
    """Add the behaviours of the control half."""

    def section(title: str, *needs: str) -> Section:
        return Section(registry, Part.CONTROL, title, ("control", *needs))

    rooms = section("Rooms")
    rooms.declare(1, "A created room is listed.")
    rooms.declare(2, "Creating a room that exists is fine and disturbs nobody in it.")
    rooms.declare(3, "Closing a room disconnects everybody in it with ROOM_CLOSED.")
    rooms.declare(4, "A closed room is forgotten: it is not listed and nobody is in it.")
    rooms.declare(5, "Closing an unknown room, or closing a room twice, is fine.")
    rooms.declare(6, "Rooms are separate: nobody and nothing of one room is seen in another.", participants=1)
    rooms.declare(7, "A room made again after it was closed starts empty and without the former limit.")
    rooms.declare(8, "With `max_participants` reached, one more connection fails and those inside stay.")
    rooms.declare(9, "The place of a participant who left is free again.")
    rooms.declare(
        10, f"Room names and identities are opaque: any printable text of up to {MAX_MEDIA_NAME} characters works."
    )
    rooms.declare(
        11, "A name or identity that is empty, overlong, no text, or has invisible characters is `InvalidInput`."
    )
    rooms.declare(12, "Many tasks that create one room at the same time make one room.")

    tokens = section("Join tickets")
    tokens.declare(13, "A ticket carries a url, a token and the time at which it ends.", participants=1)
    tokens.declare(14, "A ticket connects the identity, with the name and the grant, that it was issued for.")
    tokens.declare(15, "A ticket that has run out fails with `ConnectFailed`.", "token_expiry", participants=1)
    tokens.declare(16, "A ticket is good until its time to live is over.", "token_expiry", participants=1)
    tokens.declare(17, "A forged, altered or empty token fails with `ConnectFailed`, and nobody joins.", participants=1)
    tokens.declare(18, "A ticket for a room that was closed fails with `ConnectFailed`.", participants=1)
    tokens.declare(19, "A ticket for a room that was never made fails with `ConnectFailed`.", participants=1)

    grants = section("Grants", "audio")
    grants.declare(20, "Applying a grant replaces the whole one before it.", "grants_live", "video")
    grants.declare(21, "A participant hears of its new grant and publishes without connecting again.", "grants_live")
    grants.declare(
        22, "A source taken away is unpublished at once, for the publisher and for the others.", "grants_live"
    )
    grants.declare(23, "Taking one source away leaves the other tracks playing.", "grants_live", "video")
    grants.declare(24, "Applying the grant that is in force disturbs no track.", "grants_live")
    grants.declare(25, "Applying a grant to somebody who is not connected is `NotFound`.", "grants_live")
    grants.declare(26, "Taking `subscribe` away ends what the participant receives.", "grants_live")
    grants.declare(27, "Giving `subscribe` back brings the tracks back.", "grants_live")
    grants.declare(28, "Without `publish_data`, taken away live, sending data is `Forbidden`.", "grants_live", "data")
    grants.declare(29, "`list_participants` shows the grant in force.", "grants_live")
    grants.declare(
        30, "A grant ends with its connection: who comes back has the grant of the new ticket.", "grants_live"
    )
    grants.declare(31, "Of several grants in a row, the last one is in force.", "grants_live")
    grants.declare(32, "A publish that races with the loss of its grant never leaves a track behind.", "grants_live")
    grants.declare(
        33, "A failed grant is a `MediaError` and changes nothing.", "grants_live", faults=(Fault.GRANT_FAILURE,)
    )
    grants.declare(
        34, "A delayed grant takes effect later, and not before.", "grants_live", faults=(Fault.GRANT_DELAY,)
    )

    moderation = section("Mute and removal")
    moderation.declare(35, "A server mute silences the track and is told as a moderator's.", "server_mute", "audio")
    moderation.declare(36, "Lifting a server mute lets the track sound again.", "server_mute", "audio")
    moderation.declare(
        37, "The publisher is told that the server muted its track, and the track says so.", "server_mute"
    )
    moderation.declare(
        38, "Muting an unknown track, or a track of somebody unknown, is `NotFound`.", "server_mute", "audio"
    )
    moderation.declare(39, "A removed participant is disconnected with REMOVED.")
    moderation.declare(40, "The others are told once of a removal, and the tracks of the removed end.")
    moderation.declare(41, "Removing somebody who is not connected is `NotFound`.")
    moderation.declare(42, "A removed participant comes back with a new ticket.")

    listing = section("Listing")
    listing.declare(43, "`list_participants` has everybody who is connected once, with name and time of joining.")
    listing.declare(44, "Who left is not listed any more.")
    listing.declare(45, "Listed tracks follow publish, mute and unpublish.", "audio")
    listing.declare(46, "An unknown room has no participants.")

    data = section("Data from the server", "data")
    data.declare(47, "Data from the server reaches everybody, without a sender.")
    data.declare(48, "Data from the server to some reaches only those.", "data_targeted")
    data.declare(49, "Data from the server keeps its topic.", "data_topics", participants=1)
    data.declare(50, "Data from the server above `max_data_bytes` is `TooLarge` and reaches nobody.", participants=1)

    told = section("Notifications", "notifications")
    told.declare(51, "Joining, publishing, unpublishing and leaving are reported, in order.", "audio", participants=1)
    told.declare(52, "Closing a room is reported.", participants=1)
    told.declare(53, "A notification has an id of its own and the time of what happened.", participants=1)
    told.declare(54, "Every listener gets every notification from its call of `notifications` on.", participants=1)
    told.declare(55, "The reason of a leave is reported.")
    told.declare(
        56, "Lost notifications do not come, and later ones do.", faults=(Fault.NOTIFICATIONS_LOST,), participants=1
    )
    told.declare(57, "A doubled notification has the same id.", faults=(Fault.NOTIFICATIONS_DOUBLED,), participants=1)
    told.declare(
        58,
        "A late notification still has the time of what happened.",
        faults=(Fault.NOTIFICATIONS_DELAYED,),
        participants=1,
    )
    told.declare(
        59, "Reversed notifications come last to first.", faults=(Fault.NOTIFICATIONS_REVERSED,), participants=1
    )
    told.declare(60, "Notifications end when the backend is closed.", participants=1)

    closing = section("Closing and cancelling")
    closing.declare(61, "After the backend was closed, every control method raises `Closed`.", participants=1)
    closing.declare(62, "A control method cancelled at any await leaves nothing behind and the backend working.")
    closing.declare(63, "Closing the backend at any await of a control method ends that method.", participants=1)

    profiles = section("Names, metadata and attributes", "profiles")
    profiles.declare(
        64, "What a ticket says of a participant is there when it joins: for the others, in the list, and for itself."
    )
    profiles.declare(65, "A change is told to everybody, the participant too, once it shows.")
    profiles.declare(66, "Attributes are merged: those that are not named stay, and an empty value removes one.")
    profiles.declare(67, "A change that changes nothing is told to nobody.")
    profiles.declare(68, "Changing somebody who is not connected is `NotFound`.", participants=1)
    profiles.declare(
        69,
        "Metadata or attributes over their limit are `TooLarge`, what is none is `InvalidInput`, and nothing changes.",
        participants=1,
    )
    profiles.declare(
        70, "What was changed while the signal was lost is known when it is back.", faults=(Fault.SIGNAL_DROP,)
    )

    signalling = section("Signalling over the engine", "signalling")
    signalling.declare(71, "At a desk only tickets of its own participant are good, and of its own room.")
    signalling.declare(
        72, "Over a line that broke and came back the connection learns what happened meanwhile.", "grants_live"
    )
    signalling.declare(73, "Signalling is closed with its connection, and where a connect fails.")
    signalling.declare(74, "Who has a line and says what makes no sense is hung up on, and nobody else notices.")
