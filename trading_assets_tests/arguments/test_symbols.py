"""Symbols and lists of them, as users write them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.arguments import one_symbol, some_symbols, stored_symbol, stored_symbols
from trading_assets.errors import InvalidRequest


@pytest.mark.parametrize(
    ("given_text", "symbol"),
    [("aapl", "AAPL"), (" spy ", "SPY"), ("BRK.B", "BRK B"), ("brk b", "BRK B"), ("BF  B", "BF B"), ("SPX", "SPX")],
)
def test_symbols_are_written_as_the_broker_does(given_text: str, symbol: str) -> None:
    assert one_symbol(given_text) == symbol


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        ".",
        "AAPL;",
        "A/B",
        "THIRTEENCHARS",
        "AAPL'--",
        "$SPX",
        "A\x00",
        "A B C",
        "-",
        "--",
        "-A",
        "A-",
        "0",
        "123",
        "265598",
        "1-2",
        "1 2",
    ],
)
def test_what_cannot_be_a_symbol_is_refused(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        one_symbol(text)
    assert str(caught.value).startswith(f"{text!r} is not a US stock, ETF or index symbol. ")


@pytest.mark.parametrize(
    "text", ["ß", "ﬁ", "ıbm", "АAPL", "ＡＡＰＬ", "²", "١٢٣", "Ⅷ", "ſpy", "SPY\u200b", "BRK\u00a0B", "\u212aO"]
)
def test_letters_of_other_alphabets_are_no_symbol_and_do_not_become_another(text: str) -> None:
    with pytest.raises(ValueError, match="is not a US stock, ETF or index symbol"):
        one_symbol(text)


@given(st.text(max_size=14))
def test_one_symbol_refuses_or_is_idempotent(text: str) -> None:
    try:
        symbol = one_symbol(text)
    except ValueError:
        return
    assert one_symbol(symbol) == symbol
    assert re.fullmatch(r"[A-Z0-9]+([ -][A-Z0-9]+)?", symbol)


SYMBOLS = st.from_regex(r"(?=.*[A-Z])[A-Z0-9]{1,5}([ -][A-Z0-9]{1,4})?", fullmatch=True)


@given(st.lists(SYMBOLS, min_size=1, max_size=6))
def test_a_list_keeps_its_order_and_names_each_symbol_once(symbols: list[str]) -> None:
    found = some_symbols([*symbols, *(symbol.lower().replace(" ", ".") for symbol in symbols)])
    assert found == list(dict.fromkeys(symbols))
    assert some_symbols(found) == found
    for collection in (tuple(symbols), iter(symbols), np.array(symbols), pd.Series(symbols), pd.Index(symbols)):
        assert some_symbols(collection) == found
    assert some_symbols(set(symbols)) == sorted(set(symbols))


def test_none_is_all_and_a_text_is_one_symbol() -> None:
    assert some_symbols(None) is None and some_symbols("brk.b") == ["BRK B"]


@pytest.mark.parametrize("value", [[], (), set(), np.array([]), pd.Series([], dtype=object), iter(())])
def test_an_empty_list_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="symbols is empty: name at least one symbol, or give None"):
        some_symbols(value)


@pytest.mark.parametrize("value", [5, b"AAPL", {"AAPL": 1}, [None], [b"A"], ["AAPL", 3], float("nan"), True])
def test_what_is_no_text_is_no_symbol(value: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"wanted, for example"):
        some_symbols(value)


def test_several_symbols_in_one_text_are_told_apart_from_one() -> None:
    with pytest.raises(InvalidRequest, match="To name several symbols, give a list of texts"):
        some_symbols("AAPL, MSFT")


def test_a_closed_series_can_be_read_and_not_collected() -> None:
    assert stored_symbol("meta@0107113386") == "META@107113386" and stored_symbols(["aapl"]) == ["AAPL"]
    for text in ("META@", "META@x", "@5", "META@5@6", "META@-5"):
        with pytest.raises(InvalidRequest):
            stored_symbol(text)
    with pytest.raises(InvalidRequest):
        one_symbol("META@8314")
