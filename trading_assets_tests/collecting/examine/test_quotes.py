"""Which quotes cannot be stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trading_assets.collecting.examine.quotes import examine_quote
from trading_assets.instrument import Instrument
from trading_assets_tests.collecting.decode.answers import quote

PRICES = ("bid", "ask", "last", "close", "model_price", "underlying_price")
SIZES = ("bid_size", "ask_size", "last_size", "volume", "open_interest")


def test_values_and_nulls_are_possible() -> None:
    assert examine_quote(quote()) == []  # type: ignore[arg-type]
    assert (
        examine_quote(
            quote(bid=0.0, ask=1.5, volume=0, implied_volatility=0.25, delta=-0.5, theta=-0.1, market_data_type=4)
        )
        == []
    )  # type: ignore[arg-type]


def test_the_delta_of_an_adjusted_contract_may_be_as_large_as_what_it_delivers() -> None:
    usual = Instrument("ABC", "OPT", multiplier="100", trading_class="ABC")
    mini = replace(usual, multiplier="10", trading_class="ABC7")
    adjusted = [replace(usual, trading_class="ABC1"), replace(usual, multiplier="150")]
    assert [examine_quote(quote(delta=-1.5), one) for one in adjusted] == [[], []]  # type: ignore[arg-type]
    faults = [examine_quote(quote(delta=1.5), one) for one in (usual, mini)]  # type: ignore[arg-type]
    faults += [examine_quote(quote(delta=150.0), one) for one in adjusted]  # type: ignore[arg-type]
    assert [[fault.field for fault in found] for found in faults] == [["delta"]] * 4


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            (name, value)
            for name in (*PRICES, *SIZES)
            for value in (-1, -2.0, 1e16, 1.7976931348623157e308, 10**400, "1", True, [])
        ),
        *(("implied_volatility", value) for value in (-1, 1e5, "x")),
        *(("delta", value) for value in (-2, 2, "x", True)),
        *((name, "x") for name in ("gamma", "vega", "theta")),
        *(("market_data_type", value) for value in (None, 0, 5, 300, "1", True, 1.0)),
    ],
)
def test_an_impossible_value_makes_the_quote_bad(field: str, value: Any) -> None:
    assert [fault.field for fault in examine_quote(quote(**{field: value}))] == [field]  # type: ignore[arg-type]


@pytest.mark.parametrize("time", [-5, 1e12, "now", True])
def test_an_impossible_moment(time: Any) -> None:
    assert [fault.field for fault in examine_quote(quote(time=time))] == ["quoted_at"]  # type: ignore[arg-type]
