"""Data between participants: C67 to C74."""

from __future__ import annotations

from ...errors import Forbidden, TooLarge
from ...media.events import DataReceived
from ...model.permission import Grant
from .harness import Harness
from .proof import proves, refused
from .test_connection_lifecycle import pair

ANY_BYTES = bytes(range(256))
MANY = 100


@proves("C67")
async def test_data_reaches_everybody_else(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    await harness.within(ann.connection.send_data(b"from ann"))
    await harness.within(bob.connection.send_data(b"from bob"))
    received = await bob.expect(DataReceived)
    assert (received.payload, received.sender, received.reliable) == (b"from ann", "ann", True)
    received = await ann.expect(DataReceived)
    assert (received.payload, received.sender) == (b"from bob", "bob")
    await harness.settle()
    assert len(ann.told(DataReceived)) == len(bob.told(DataReceived)) == 1


@proves("C68")
async def test_reliable_data_arrives_once_and_in_order(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    sent = [b"%d" % number for number in range(MANY)]
    for payload in sent:
        await harness.within(ann.connection.send_data(payload))
    await bob.expect(DataReceived, payload=sent[-1])
    await harness.settle()
    assert [event.payload for event in bob.told(DataReceived)] == sent


@proves("C69")
async def test_data_to_some_reaches_only_those(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    cid = await harness.join(ann.connection.room, "cid")
    await harness.eventually(lambda: "cid" in ann.connection.participants)
    await harness.within(ann.connection.send_data(b"for bob", to=["bob"]))
    await harness.within(ann.connection.send_data(b"for all"))
    await bob.expect(DataReceived, payload=b"for all")
    await cid.expect(DataReceived, payload=b"for all")
    await harness.settle()
    assert [event.payload for event in bob.told(DataReceived)] == [b"for bob", b"for all"]
    assert [event.payload for event in cid.told(DataReceived)] == [b"for all"]


@proves("C70")
async def test_unknown_receivers_are_ignored(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    await harness.within(ann.connection.send_data(b"for nobody", to=["nobody"]))
    await harness.within(ann.connection.send_data(b"for none", to=[]))
    await harness.within(ann.connection.send_data(b"for bob", to={"bob", "nobody"}))
    await bob.expect(DataReceived, payload=b"for bob")
    await harness.settle()
    assert [event.payload for event in bob.told(DataReceived)] == [b"for bob"]


@proves("C71")
async def test_data_keeps_its_topic(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    for topic in ("", "chat", "ünï/tøpic 🎙"):
        await harness.within(ann.connection.send_data(topic.encode(), topic=topic))
        assert (await bob.expect(DataReceived, payload=topic.encode())).topic == topic


@proves("C72")
async def test_lossy_data_arrives_as_lossy(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    for _ in range(20):
        await harness.within(ann.connection.send_data(b"state", reliable=False))
        await harness.pass_time(0.01)
    assert not (await bob.expect(DataReceived, payload=b"state")).reliable
    await harness.within(ann.connection.send_data(b"certain"))
    assert (await bob.expect(DataReceived, payload=b"certain")).reliable


@proves("C73")
async def test_data_up_to_the_limit_arrives_and_more_is_too_large(harness: Harness) -> None:
    _, ann, bob = await pair(harness)
    limit = harness.capabilities.max_data_bytes
    largest = (ANY_BYTES * (limit // 256 + 1))[:limit]
    with refused(TooLarge):
        await harness.within(ann.connection.send_data(largest + b"!"))
    await harness.within(ann.connection.send_data(largest))
    assert (await bob.expect(DataReceived)).payload == largest
    await harness.settle()
    assert len(bob.told(DataReceived)) == 1


@proves("C74")
async def test_without_publish_data_sending_is_forbidden(harness: Harness) -> None:
    room = await harness.room()
    ann = await harness.join(room, "ann", Grant(publish_data=False))
    bob = await harness.join(room, "bob")
    for reliable in (True, False) if harness.capabilities.data_lossy else (True,):
        with refused(Forbidden):
            await harness.within(ann.connection.send_data(b"secret", reliable=reliable))
    await harness.settle()
    assert not bob.told(DataReceived)
    await harness.eventually(lambda: "ann" in bob.connection.participants)
    await harness.within(bob.connection.send_data(b"hello"))
    await ann.expect(DataReceived, payload=b"hello")
