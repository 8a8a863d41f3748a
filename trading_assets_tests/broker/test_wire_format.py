"""The forms of messages, and texts as TWS escapes them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.broker.wire_format import KINDS, Unreadable, check, kind_of, normal, plain_text, request_id

BARS = ["17", "1000", "start", "end", "1", "20240603", "1", "2", "0.5", "1.5", "100", "1.2", "7"]


def test_the_kind_of_a_message() -> None:
    assert str(kind_of(BARS)) == "historicalData (17)"
    assert kind_of(["6", "2"]) is None, "account values are not read"
    for fields in ([], [""], ["x"], ["-4"], ["1 7"]):
        with pytest.raises(Unreadable):
            kind_of(fields)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1000", 1000), ("-1", -1), ("", None), ("1_000", None), ("1e3", None), ("x", None), (" 1", None)],
)
def test_a_request_id_is_a_whole_number(text: str, number: int | None) -> None:
    assert request_id(KINDS[17], ["17", text]) == number
    assert request_id(KINDS[17], ["17"]) is None
    assert request_id(KINDS[49], ["49", "1", "5"]) is None, "the clock answers no request"


def test_a_message_of_the_right_form_passes() -> None:
    check(KINDS[17], BARS, 176)


FIELDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=40)


@given(FIELDS, st.sampled_from(sorted(KINDS)), st.sampled_from([157, 163, 164, 178]))
def test_whatever_comes_is_right_or_unreadable(fields: list[str], number: int, version: int) -> None:
    """No other error: nothing of a check may reach the connection."""
    kind = KINDS[number]
    with suppress(Unreadable):
        check(kind, normal(kind, [str(number), *fields], version), version)


@given(st.text(st.one_of(st.characters(), st.sampled_from('\\uUx0dD89fnN"'))))
def test_every_text_can_be_kept(text: str) -> None:
    """In UTF-8, on one line, without control characters."""
    plain = plain_text(text)
    plain.encode("utf-8")
    assert plain.isprintable() or not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in plain)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))))
def test_an_escaped_text_comes_back(text: str) -> None:
    escaped = "".join(c if c.isascii() and c != "\\" else "\\\\" if c == "\\" else _java(c) for c in text)
    assert plain_text(escaped) == text


def _java(character: str) -> str:
    """As Java writes it: one escape for each half of a pair."""
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
