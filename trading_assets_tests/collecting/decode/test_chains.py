from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.broker.requests import OptionListingRequest, OptionParametersRequest, QuoteRequest
from trading_assets.collecting.decode import (
    carry_listing,
    lacking_sentence,
    lacks,
    listing_rows,
    option_parameters,
    with_quotes,
    with_selection,
    without_worse,
)
from trading_assets.collecting.naming import option_expiry
from trading_assets.instrument import Instrument
from trading_assets.planning.chains import plan_quotes
from trading_assets.repositories.schemas import OPTION_CHAINS
from trading_assets_tests.collecting.decode.answers import NOW, contract, quote, result

SESSION = date(2015, 12, 24)
UNDERLYINGS = {"GOOG": 208813719}

WHOLE: dict[str, Any] = {
    **{"bid": 1.4, "ask": 1.7, "bid_size": 3.0, "ask_size": 4.0, "last": 1.5, "volume": 9.0, "open_interest": 12.0},
    **{
        "implied_volatility": 0.25,
        "delta": 0.5,
        "gamma": 0.03,
        "vega": 0.1,
        "theta": -0.02,
        "model_price": 1.55,
        "underlying_price": 750.0,
    },
}


def option(con_id: int, strike: float, right: str = "C", last_trade: str = "20151231", symbol: str = "GOOG"):  # type: ignore[no-untyped-def]
    return contract(
        con_id=con_id,
        symbol=symbol,
        sec_type="OPT",
        last_trade=last_trade,
        strike=strike,
        right=right,
        multiplier="100",
        exchange="SMART",
        currency="USD",
        local_symbol=f"{symbol:<6}{last_trade[2:]}{right}{round(strike * 1000):08d}",
        trading_class=symbol,
        under_con_id=0,
    )


def listing(*records, request_id: int = 1, symbol: str = "GOOG", day: str = "20151231"):  # type: ignore[no-untyped-def]
    words = Instrument(symbol, "OPT", last_trade=day)
    return result(OptionListingRequest(words, SESSION), {"contracts": list(records)}, request_id=request_id)


def quoted(con_id: int, request_id: int, outcome: Outcome | None = None, **values: float):  # type: ignore[no-untyped-def]
    request = QuoteRequest(Instrument("GOOG", "OPT", con_id=con_id), SESSION, generic_ticks="100,101,106")
    if outcome is not None:
        return result(request, None, outcome, request_id)
    return result(request, quote(**values), request_id=request_id)


def test_listing_rows_have_the_schema_and_no_quote() -> None:
    table = listing_rows([listing(option(1, 750.0), option(2, 750.0, "P"))], UNDERLYINGS)
    assert table.schema.equals(OPTION_CHAINS.schema, check_metadata=True)
    table.validate(full=True)
    row = table.to_pylist()[1]
    assert (row["con_id"], row["under_con_id"], row["expiry"], row["right"], row["multiplier"]) == (
        2,
        208813719,
        date(2015, 12, 31),
        "P",
        100.0,
    )
    assert (row["selected"], row["quote_outcome"], row["bid"], row["quoted_at"]) == (False, None, None, None)
    assert listing_rows([], {}).schema.equals(OPTION_CHAINS.schema)


@pytest.mark.parametrize(
    ("local_symbol", "last_trade", "expiry"),
    [
        ("SPX   200117P03205000", "20200116", date(2020, 1, 17)),
        ("SPXW  200117P03205000", "20200117", date(2020, 1, 17)),
        ("TSLA  230120C00100000", "20230120", date(2023, 1, 20)),
        ("", "20230120", date(2023, 1, 20)),
        ("unusual", "20230120-08:30:00-US/Central", date(2023, 1, 20)),
    ],
)
def test_the_expiry_is_the_one_in_the_osi_symbol(local_symbol: str, last_trade: str, expiry: date) -> None:
    assert option_expiry(local_symbol, last_trade) == expiry


def test_an_expiry_listed_twice_keeps_the_later_answer() -> None:
    table = listing_rows(
        [listing(option(1, 750.0), request_id=8), listing(option(1, 750.0), option(2, 755.0), request_id=3)],
        UNDERLYINGS,
    )
    assert sorted(zip(table["con_id"].to_pylist(), table["request_id"].to_pylist(), strict=True)) == [(1, 8), (2, 3)]


def test_carried_rows_lose_their_quotes_and_keep_their_origin() -> None:
    answers = [listing(option(1, 750.0)), listing(option(2, 755.0, last_trade="20160116"), day="20160115")]
    last = with_selection(listing_rows(answers, UNDERLYINGS), {1, 2})
    assert last["listed_expiry"].to_pylist() == [None, "20160115"], "kept where the details name another day"
    assert carry_listing(last, ["20160115"], date(2015, 12, 28), symbol="GOOG")["con_id"].to_pylist() == [2]
    last = with_quotes(last, [quoted(1, 5, bid=1.0, ask=2.0)])
    carried = carry_listing(last, ["20151231"], date(2015, 12, 28), symbol="GOOG")
    [row] = carried.to_pylist()
    assert (row["session"], row["con_id"], row["selected"], row["bid"], row["quote_outcome"]) == (
        date(2015, 12, 28),
        1,
        False,
        None,
        None,
    )
    assert row["listed_at"] == NOW
    assert carry_listing(last, ["20151231"], SESSION, symbol="AAPL").num_rows == 0
    assert carried.schema.equals(OPTION_CHAINS.schema)


def test_quotes_are_merged_and_failures_are_told_apart_from_no_bid() -> None:
    table = with_selection(
        listing_rows([listing(*(option(i, 700.0 + i) for i in range(1, 5)))], UNDERLYINGS), {1, 2, 3}
    )
    refused = Outcome(OutcomeKind.NOT_PERMITTED, 354, "Requested market data is not subscribed.")
    merged = with_quotes(
        table,
        [
            quoted(1, 11, **{**WHOLE, "bid": 1.5, "vega": None}),
            quoted(2, 12, **{**WHOLE, "bid": None, "ask": 0.05, "bid_size": 0.0}),
            quoted(3, 13, refused),
        ],
    )
    first, no_bid, failed, unselected = merged.to_pylist()
    assert (first["bid"], first["implied_volatility"], first["vega"], first["open_interest"], first["request_id"]) == (
        1.5,
        0.25,
        None,
        12.0,
        11,
    )
    assert first["quoted_at"] == datetime(2015, 12, 24, 21, 0, tzinfo=UTC)
    assert (first["market_data_type"], first["quote_outcome"]) == (1, "partial")
    assert (no_bid["quote_outcome"], no_bid["bid"], no_bid["ask"], no_bid["bid_size"]) == ("complete", None, 0.05, 0.0)
    assert (failed["quote_outcome"], failed["bid"], failed["quoted_at"], failed["market_data_type"]) == (
        "not_permitted",
        None,
        None,
        None,
    )
    assert (unselected["quote_outcome"], unselected["selected"]) == (None, False)
    assert merged.schema.equals(OPTION_CHAINS.schema, check_metadata=True)


def test_a_quote_that_came_is_not_undone_by_a_later_failure() -> None:
    table = listing_rows([listing(option(1, 750.0))], UNDERLYINGS)
    [row] = with_quotes(table, [quoted(1, 11, bid=1.5), quoted(1, 12, Outcome(OutcomeKind.TIMEOUT))]).to_pylist()
    assert (row["bid"], row["quote_outcome"]) == (1.5, "partial")


def test_what_a_quote_lacks() -> None:
    def lacking(**values: float | None) -> tuple[str, ...]:
        return lacks({**WHOLE, **values})

    assert lacking() == ()
    assert lacking(bid=None, bid_size=0.0) == (), "nobody bids: that is known"
    assert lacking(bid=None) == ("bid",), "a size is no price"
    assert lacking(bid=None, bid_size=None) == ("bid",)
    assert lacking(ask=None) == ("ask",)
    assert lacking(bid=None, ask=None, bid_size=0.0, ask_size=0.0) == ("bid and ask",)
    for name in ("delta", "gamma", "vega", "theta", "implied_volatility"):
        assert lacking(**{name: None}) == ("greeks",)
    assert lacking(open_interest=None, delta=None) == ("greeks", "open interest")
    assert lacking(last=None, volume=None, model_price=None) == ()


def test_the_sentence_counts_the_quotes_by_what_they_lack() -> None:
    table = with_selection(
        listing_rows([listing(*(option(i, 700.0 + i) for i in range(1, 8)))], UNDERLYINGS), set(range(1, 7))
    )
    quotes = [quoted(i, i, **WHOLE) for i in (1, 2)]
    assert lacking_sentence(with_quotes(table, quotes)) == ""
    quotes += [quoted(i, i, **{**WHOLE, "delta": None}) for i in (3, 4, 5)]
    assert lacking_sentence(with_quotes(table, quotes)) == "3 of 6 quotes lack greeks."
    quotes += [quoted(6, 6, **{**WHOLE, "bid": None, "ask": None})]
    assert lacking_sentence(with_quotes(table, quotes)) == "1 of 6 quotes lacks bid and ask, 3 lack greeks."


def test_a_later_quote_that_lacks_more_does_not_take_an_earlier_ones_place() -> None:
    table = with_quotes(
        listing_rows([listing(option(1, 750.0), option(2, 755.0))], UNDERLYINGS),
        [quoted(1, 1, **{**WHOLE, "delta": None})],
    )
    whole, worse, other = quoted(1, 2, **WHOLE), quoted(1, 3, bid=1.0), quoted(2, 4, bid=1.0)
    assert without_worse(table, [whole, worse, other]) == [whole, other]
    refused = quoted(1, 5, Outcome(OutcomeKind.TIMEOUT))
    assert without_worse(table, [refused]) == [refused], "what becomes of failures is said elsewhere"


def test_parameters_by_symbol() -> None:
    records = [
        {
            "exchange": "SMART",
            "trading_class": "GOOG",
            "multiplier": "100",
            "underlying_con_id": 1,
            "expirations": [],
            "strikes": [],
        }
    ]
    request = OptionParametersRequest(Instrument("GOOG", con_id=1), SESSION)
    assert option_parameters([result(request, {"parameters": records})]) == {"GOOG": records}


def test_ten_thousand_contracts_are_decoded_selected_and_quoted() -> None:
    records = [option(i, 100.0 + i / 2) for i in range(10_000)]
    table = with_selection(listing_rows([listing(*records)], UNDERLYINGS), set(range(2_000)))
    requests = plan_quotes(table, set(range(2_000)), SESSION)
    merged = with_quotes(table, [quoted(r.instrument.con_id, i, bid=1.0) for i, r in enumerate(requests)])
    assert merged["bid"].null_count == 8_000
