"""What a well-formed name is. More malformed ones stand in `test_bad_input.py`."""

from __future__ import annotations

import pytest

from utd_core.errors import ErrorCode, InvalidInput
from utd_core.model.identifiers import check_app_id, check_device, check_identity, check_room_name

from ..rulebook import rule


@rule("An identity or a room name is 1 to 128 characters, printable, without outer blanks.")
@pytest.mark.parametrize("name", ["", " ann", "ann ", "a\x00b", "a\nb", "x" * 129])
def test_a_name_that_is_too_long_or_not_printable_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as identity:
        check_identity(name)
    with pytest.raises(InvalidInput) as room:
        check_room_name(name)
    assert (identity.value.code, room.value.code) == (ErrorCode.INVALID_IDENTITY, ErrorCode.INVALID_NAME)


@rule(
    "An identity or a room name is 1 to 128 characters, printable, without outer blanks.",
    "Letters of any script and emoji are fine; control characters, line breaks, invisible direction marks and fillers "
    "are not.",
)
@pytest.mark.parametrize(
    "name",
    ["a", "x" * 128, "Ann Lee", "Зоя", "美咲", "مریم", "नेहा", "🎙️ night", "user@example.org", "a'b\"c", "a$", "a/b?c#d"],
)
def test_names_of_any_script_are_fine(name: str) -> None:
    assert check_identity(name) == name
    assert check_room_name(name) == name


@rule(
    "Letters of any script and emoji are fine; control characters, line breaks, invisible direction marks and fillers "
    "are not."
)
@pytest.mark.parametrize(
    "mark", ["\u200b", "\u200e", "\u202e", "\u2066", "\u2028", "\ufeff", "\u00ad", "\u3164", "\x7f"]
)
def test_what_nobody_sees_is_not_part_of_a_name(mark: str) -> None:
    for name in (f"an{mark}n", mark, f"{mark}ann"):
        with pytest.raises(InvalidInput):
            check_identity(name)


NOTHING_HIDDEN = (
    "No name looks like another by hiding something: a zero-width joiner stands only where scripts and emoji need it, "
    "between two characters that are not ASCII; a variation selector only behind what it varies (emoji, ideographs, "
    'Mongolian letters); and text is in Unicode\'s normal form C, so that there is one way to write "é".'
)


@rule(NOTHING_HIDDEN)
def test_joiners_join_emoji_and_scripts_and_hide_nowhere_else() -> None:
    for name in ("👩\u200d👩\u200d👧", "❤️\u200d🔥", "می\u200cخواهم"):
        assert check_identity(name) == name
    for name in ("al\u200dice", "\u200d", "alice\u200d", "م\u200c\u200cی", "é\u200db"):
        with pytest.raises(InvalidInput):
            check_identity(name)


@rule(NOTHING_HIDDEN)
def test_variation_selectors_vary_something_and_hide_nowhere_else() -> None:
    for name in ("❤\ufe0f", "1\ufe0f\u20e3", "葛\U000e0100", "\u1820\u180b"):
        assert check_identity(name) == name
    for name in ("a\ufe0f", "a\U000e0100", "a\u180b", "\ufe0f", "é\ufe0fb"):
        with pytest.raises(InvalidInput):
            check_identity(name)


@rule(NOTHING_HIDDEN)
def test_there_is_one_way_to_write_a_letter() -> None:
    assert check_identity("Zoé") == "Zoé"
    with pytest.raises(InvalidInput, match="normal form C"):
        check_identity("Zoe\u0301")


@rule("A name that begins with `$` is reserved: `$server` is the application's own server, `$system` the engine.")
@pytest.mark.parametrize("name", ["$server", "$system", "$me", "$"])
def test_a_name_that_begins_with_a_dollar_sign_is_reserved(name: str) -> None:
    for check in (check_identity, check_room_name):
        with pytest.raises(InvalidInput, match="reserved"):
            check(name)


@rule("So is a room name that begins with `call:`, as the media rooms of calls do.")
def test_the_media_rooms_of_calls_are_reserved() -> None:
    with pytest.raises(InvalidInput, match="reserved"):
        check_room_name("call:42")
    assert check_identity("call:42") == "call:42"
    assert check_room_name("recall:42") == "recall:42"


@rule("A device id is 1 to 64 characters of `A-Z a-z 0-9 . _ : -`.")
def test_a_device_id_is_short_and_plain() -> None:
    for device in ("p", "Pixel-8_pro.2:a", "x" * 64):
        assert check_device(device) == device
    for bad in ("", "x" * 65, "my phone", "télé", "phone\n", None, 7):
        with pytest.raises(InvalidInput):
            check_device(bad)


@rule("An app id, which names a project, is 1 to 63 characters of `A-Z a-z 0-9 . _ -`, the first a letter or digit.")
def test_an_app_id_is_short_and_plain() -> None:
    for app_id in ("a", "Shop-2.eu_west", "7" * 63):
        assert check_app_id(app_id) == app_id
    for bad in ("", "x" * 64, "-shop", ".shop", "my shop", "shop/eu", "läden", "$shop", "shop\n", None, 7):
        with pytest.raises(InvalidInput):
            check_app_id(bad)
