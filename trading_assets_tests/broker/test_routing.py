"""Which gateway a symbol goes to: each to one, the same everywhere, and only the symbols of one that goes move."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.broker.requests import QuoteRequest
from trading_assets.broker.routing import by_gateway, gateway_of
from trading_assets.instrument import Instrument
from trading_assets_tests.broker.conftest import SESSION

SYMBOLS = st.lists(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ. ", min_size=1, max_size=6), max_size=40)
NAMES = st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True), min_size=1, max_size=6, unique=True)


@given(SYMBOLS, NAMES)
def test_each_request_goes_one_way_in_the_order_given(symbols: list[str], names: list[str]) -> None:
    requests = [QuoteRequest(Instrument(symbol, con_id=n), SESSION) for n, symbol in enumerate(symbols)]
    shares = by_gateway(requests, names)
    assert sorted(r.instrument.con_id for share in shares.values() for r in share) == list(range(len(requests)))
    ways = {r.symbol: name for name, share in shares.items() for r in share}
    for name, share in shares.items():
        assert share == [r for r in requests if ways[r.symbol] == name], "two ways for one symbol, or another order"
    assert ways == {symbol: gateway_of(symbol, names[::-1]) for symbol in symbols}, "the order of the names counts"


@given(SYMBOLS, NAMES, st.data())
def test_only_the_symbols_of_one_that_goes_move(symbols: list[str], names: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(names))
    left = [name for name in names if name != gone]
    if left:
        for symbol in symbols:
            before = gateway_of(symbol, names)
            assert gateway_of(symbol, left) == before or before == gone


@pytest.mark.parametrize("count", [2, 3, 5])
def test_shares_are_about_equal(count: int) -> None:
    names = [f"gateway{n}" for n in range(count)]
    shares = Counter(gateway_of(f"S{n}", names) for n in range(3000))
    assert len(shares) == count
    assert all(abs(share * count / 3000 - 1) < 0.1 for share in shares.values()), shares


def test_a_symbol_goes_the_same_way_in_every_version() -> None:
    """Another hash would move symbols while processes of two versions work."""
    ways = {symbol: gateway_of(symbol, ["east", "west"]) for symbol in ("AAA", "BBB", "IDX", "QUIET", "TWIN")}
    assert ways == {"AAA": "east", "BBB": "west", "IDX": "west", "QUIET": "east", "TWIN": "west"}
