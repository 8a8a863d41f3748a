from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest

from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.broker.requests import ContractDetailsRequest
from trading_assets.collecting.decode import carry_contracts, contract_rows, spot_price
from trading_assets.collecting.decode.contracts import choose
from trading_assets.instrument import Instrument
from trading_assets.repositories.schemas import CONTRACTS
from trading_assets_tests.collecting.decode.answers import NOW, contract, quote, result

SESSION = date(2015, 12, 24)
STOCK = {"symbol": "AAPL", "sec_type": "STK", "currency": "USD"}


def test_one_row_a_symbol_in_the_datasets_schema() -> None:
    record = contract(
        **STOCK, con_id=265598, exchange="SMART", primary_exchange="NASDAQ", long_name="APPLE INC", stock_type="COMMON"
    )
    table = contract_rows(
        [result(ContractDetailsRequest(Instrument("AAPL"), SESSION), {"contracts": [record]}, request_id=9)]
    )
    assert table.schema.equals(CONTRACTS.schema, check_metadata=True)
    [row] = table.to_pylist()
    assert (row["symbol"], row["con_id"], row["session"], row["exchange"], row["request_id"]) == (
        "AAPL",
        265598,
        SESSION,
        "SMART",
        9,
    )
    assert row["verified_at"] == row["collected_at"] == NOW
    table.validate(full=True)


def test_the_contract_that_fits_the_words_is_taken_whatever_the_order() -> None:
    foreign = contract(symbol="AAPL", sec_type="STK", currency="MXN", con_id=1)
    unlisted = contract(**STOCK, con_id=2, exchange="SMART")
    wanted = contract(**STOCK, con_id=265598, exchange="SMART", primary_exchange="NASDAQ")
    future = contract(symbol="AAPL", sec_type="FUT", currency="USD", con_id=3)
    for order in permutations([foreign, unlisted, wanted, future]):
        assert choose(Instrument("AAPL"), order).record == wanted
    assert choose(Instrument("MSFT"), [wanted]).record is None


def test_failures_and_answers_that_do_not_fit_give_no_row() -> None:
    request = ContractDetailsRequest(Instrument("NOPE"), SESSION)
    unknown = result(
        request, None, Outcome(OutcomeKind.NO_CONTRACT, 200, "No security definition has been found for the request")
    )
    other = result(request, {"contracts": [contract(**STOCK, con_id=1)]})
    table = contract_rows([unknown, other])
    assert table.num_rows == 0
    assert table.schema.equals(CONTRACTS.schema)


def test_rows_are_carried_forward_with_their_origin() -> None:
    request = ContractDetailsRequest(Instrument("AAPL"), date(2015, 12, 22))
    latest = contract_rows([result(request, {"contracts": [contract(**STOCK, con_id=265598)]}, request_id=4)])
    [row] = carry_contracts(latest, ["AAPL", "GOOG"], SESSION).to_pylist()
    assert (row["session"], row["verified_at"], row["request_id"]) == (SESSION, NOW, 4)
    assert carry_contracts(latest, [], SESSION).num_rows == 0


@pytest.mark.parametrize(
    ("values", "price"),
    [
        ({"bid": 99.0, "ask": 101.0, "last": 98.0}, 100.0),
        ({"bid": 50.0, "ask": 150.0, "last": 98.0}, 98.0),
        ({"bid": None, "ask": 101.0, "last": None, "close": 97.0}, 97.0),
        ({"bid": 101.0, "ask": 99.0, "close": 97.0}, 97.0),
        ({}, None),
    ],
)
def test_the_price_of_the_underlying(values: dict[str, float | None], price: float | None) -> None:
    assert spot_price(quote(**values)) == price
    assert spot_price(None) is None
