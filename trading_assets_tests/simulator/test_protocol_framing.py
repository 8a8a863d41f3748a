"""Frames and value forms: whatever the segmentation, what goes in comes out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.simulator.protocol import (
    HELLO,
    FieldReader,
    FrameReader,
    MalformedFrame,
    MalformedRequest,
    frame,
    number,
    size,
)

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(st.lists(st.lists(texts, min_size=1, max_size=6), max_size=6), st.data())
def test_any_segmentation_gives_the_same_messages(messages: list[list[str]], data: st.DataObject) -> None:
    stream = HELLO + b"".join(frame(*fields) for fields in messages)
    reader, received, position = FrameReader(), [], 0
    while position < len(stream):
        step = data.draw(st.integers(1, len(stream) - position))
        received += [payload.decode().split("\0")[:-1] for payload in reader.feed(stream[position : position + step])]
        position += step
    assert received == messages


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_lose_nothing(value: float) -> None:
    assert float(number(value)) == value


@pytest.mark.parametrize(
    ("value", "written"), [(1.0, "1"), (0.1, "0.1"), (-1, "-1"), (math.inf, "Infinite"), (948837.22, "948837.22")]
)
def test_number_forms(value: float, written: str) -> None:
    assert number(value) == written


def test_sizes_are_integers_for_clients_that_parse_integers() -> None:
    assert size(12.4, 157) == "12"
    assert size(12.4, 178) == "12.4"


def test_fields_in_every_wire_form() -> None:
    assert frame(None, True, False, 7, "x\0y", "é")[4:] == b"\x001\x000\x007\x00xy\x00\\xe9\x00"


def test_unset_numbers_are_zero() -> None:
    fields = FieldReader(b"\x002147483647\x00\x001.7976931348623157e308\x00Infinite\x00")
    assert [fields.integer(), fields.integer(), fields.decimal(), fields.decimal()] == [0, 0, 0.0, 0.0]
    assert fields.decimal() == math.inf


@pytest.mark.parametrize("read", [FieldReader.integer, FieldReader.decimal])
def test_a_field_that_is_no_number_names_its_request(read: object) -> None:
    fields = FieldReader(b"42\x00many\x00")
    fields.request_id()
    with pytest.raises(MalformedRequest, match="many") as raised:
        read(fields)  # type: ignore[operator]
    assert raised.value.req_id == 42


def test_a_message_that_ends_too_early() -> None:
    with pytest.raises(MalformedRequest):
        FieldReader(b"20\x00").contract()


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1", HELLO + b"\xff\xff\xff\xff"])
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedFrame):
        list(FrameReader().feed(data))
