"""Which contracts and parameters cannot be stored."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from trading_assets.broker.requests import ContractDetailsRequest, OptionListingRequest, OptionParametersRequest
from trading_assets.collecting.examine.contracts import examine_details, examine_listing, examine_parameters
from trading_assets.instrument import Instrument
from trading_assets_tests.collecting.decode.answers import contract

SESSION = date(2015, 12, 24)
DETAILS = ContractDetailsRequest(Instrument("AAPL"), SESSION)
LISTING = OptionListingRequest(Instrument("GOOG", "OPT", last_trade="20151231"), SESSION)
PARAMETERS = OptionParametersRequest(Instrument("GOOG", con_id=99), SESSION)

STOCK = {
    "con_id": 265598,
    "symbol": "AAPL",
    "sec_type": "STK",
    "currency": "USD",
    "exchange": "SMART",
    "primary_exchange": "NASDAQ",
}

ANY_TEXT = [None, 5, True, "\ud800", "x" * 1_000_000]
ANY_CODE = [*ANY_TEXT, "", "é", " ", "a\0b"]


def option(strike: float, right: str = "C", **values: Any) -> Any:
    words = {
        **{
            "con_id": int(strike),
            "symbol": "GOOG",
            "sec_type": "OPT",
            "currency": "USD",
            "exchange": "SMART",
            "multiplier": "100",
        },
        **{
            "trading_class": "GOOG",
            "last_trade": "20151231",
            "under_con_id": 99,
            "local_symbol": f"GOOG  151231{right}{round(strike * 1000):08}",
        },
    }
    return contract(strike=strike, right=right, **{**words, **values})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("con_id", value) for value in (0, -1, 10**31, 10**13, 9.5, True, "5", None, "")),
        *(("strike", value) for value in (0, -5.0, 1.7976931348623157e308, 10**400, None, "750", True, "1,000")),
        *(("right", value) for value in ("", "X", None, 5, "?")),
        *(
            ("multiplier", value)
            for value in ("", "1oo", "0", "-100", "NaN", "inf", "1,000", "1_00", None, 100, "１００")
        ),
        *(("currency", value) for value in (*ANY_CODE, "EUR")),
        *(("symbol", value) for value in (*ANY_CODE, "GOOGL")),
        *(("sec_type", value) for value in (*ANY_CODE, "FOP")),
        *(("last_trade", value) for value in ("", "20151331", "201511", "20161231", "text", None, 20151231)),
        *(
            ("local_symbol", value)
            for value in (
                *ANY_CODE,
                "GOOG  159931C00750000",
                "GOOG  151231P00750000",
                "GOOG  151231C00760000",
                "GOOG  161231C00750000",
            )
        ),
        *(("trading_class", value) for value in ANY_CODE),
        *(("under_con_id", value) for value in (-1, 10**31, "99", None, True, 98)),
        *(("min_tick", value) for value in (-0.01, 1e13, "0.01", True)),
        *(("exchange", value) for value in (*ANY_TEXT, "é")),
        *(("trading_hours", value) for value in ANY_TEXT),
    ],
)
def test_an_impossible_option_is_left_out_alone(field: str, value: Any) -> None:
    records = [option(740), option(750), option(760)]
    records[1][field] = value
    kept, faults = examine_listing(LISTING, records)
    assert kept == [option(740), option(760)]
    assert [fault.field for fault in faults] == [field]
    assert "contract 2" in faults[0].where
    assert len(str(faults[0])) < 400


def test_what_is_possible_is_kept() -> None:
    records = [
        option(740),
        option(750, "P"),
        option(0.5, con_id=5),
        option(750, local_symbol="P GOO DEC 15 750", con_id=7),
    ]
    records += [
        option(760, last_trade="20151230"),
        option(770, under_con_id=0),
        option(780, exchange="", min_tick=None),
    ]
    assert examine_listing(LISTING, records) == (records, [])


@pytest.mark.parametrize("record", [None, 5, "text", [], {}, {"con_id": 5}])
def test_what_is_no_contract(record: Any) -> None:
    kept, faults = examine_listing(LISTING, [option(740), record])
    assert kept == [option(740)]
    assert len(faults) == 1


def test_contracts_of_one_id_that_differ_are_both_doubtful() -> None:
    kept, faults = examine_listing(LISTING, [option(740), option(750), option(760, con_id=750), option(740)])
    assert kept == [option(740)]
    assert [fault.field for fault in faults] == ["con_id", "con_id"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("con_id", 0), ("con_id", 10**31), ("con_id", -7), ("long_name", "x" * 10_000_000), ("currency", 5)],
)
def test_an_impossible_underlying(field: str, value: Any) -> None:
    kept, faults = examine_details(DETAILS, [contract(**{**STOCK, field: value})])
    assert kept == []
    assert [fault.field for fault in faults] == [field]


@pytest.mark.parametrize(("field", "value"), [("symbol", "AAPD"), ("currency", "EUR"), ("sec_type", "CFD")])
def test_another_contract_than_asked_for_is_a_fault_where_none_fits(field: str, value: str) -> None:
    other = contract(**{**STOCK, "con_id": 5, field: value})
    assert examine_details(DETAILS, [contract(**STOCK), other])[1] == []
    kept, faults = examine_details(DETAILS, [other])
    assert kept == []
    assert [fault.field for fault in faults] == [field]


def parameters(**values: Any) -> Any:
    return {
        **{"exchange": "SMART", "trading_class": "GOOG", "multiplier": "100", "underlying_con_id": 99},
        **{"expirations": ["20151231", "20160115"], "strikes": [740.0, 750.0], **values},
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("underlying_con_id", value) for value in (-1, 10**31, "99")),
        *(("multiplier", value) for value in ("", "1oo", None)),
        *((name, value) for name in ("expirations", "strikes") for value in (None, "text", 5)),
        *((name, value) for name in ("exchange", "trading_class") for value in ANY_CODE),
    ],
)
def test_impossible_parameters_are_left_out_alone(field: str, value: Any) -> None:
    kept, faults = examine_parameters(PARAMETERS, [parameters(**{field: value}), parameters(exchange="CBOE")])
    assert kept == [parameters(exchange="CBOE")]
    assert [fault.field for fault in faults] == [field]


def test_parameters_that_all_name_another_underlying_are_left_to_the_step() -> None:
    """The symbol belongs to another company now: the user decides about that (`collecting.identity`), it is no spoilt
    answer."""
    others = [parameters(underlying_con_id=98), parameters(exchange="CBOE", underlying_con_id=98)]
    assert examine_parameters(PARAMETERS, others) == (others, [])


def test_impossible_expiries_and_strikes_are_left_out_of_their_parameters() -> None:
    given = parameters(
        expirations=["20151231", "20151301", "", None, "20160115"], strikes=[740.0, 0, -1, None, "5", 750.0]
    )
    kept, faults = examine_parameters(PARAMETERS, [given])
    assert kept == [parameters()]
    assert len(faults) == 7
