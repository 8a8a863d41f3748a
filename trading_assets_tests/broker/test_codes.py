"""The table of broker codes: complete, consistent, and never "no data" by mistake."""

from __future__ import annotations

import pytest

from trading_assets.broker.codes import (
    CODES,
    CodeClass,
    classify,
    delayed_may_follow,
    is_warning,
    lookup,
    remedy_of,
    tries_of,
)
from trading_assets.broker.inbox import unescaped
from trading_assets.broker.outcomes import Outcome, OutcomeKind

HISTORY = "Historical Market Data Service error message:"

TEXTS = [
    (162, HISTORY + "Historical data request pacing violation", OutcomeKind.PACING),
    (162, HISTORY + "HMDS query returned no data: SYM@SMART Trades", OutcomeKind.EMPTY),
    (162, HISTORY + "API historical data query cancelled: 17", OutcomeKind.CANCELLED),
    (162, HISTORY + "Trading TWS session is connected from a different IP address", OutcomeKind.UNAVAILABLE),
    (162, HISTORY + "No market data permissions for ISLAND STK.", OutcomeKind.NOT_PERMITTED),
    (
        162,
        HISTORY + "No data of type EODChart is available for the exchange 'BEST' and the security type 'Option'",
        OutcomeKind.REJECTED,
    ),
    (162, HISTORY + "BEST queries are not supported for this contract", OutcomeKind.REJECTED),
    (162, HISTORY + "Invalid time length", OutcomeKind.REJECTED),
    (162, HISTORY + "No historical market data for SYM/STK@SMART Last 60", OutcomeKind.EMPTY),
    (162, HISTORY + "Request Timed Out", OutcomeKind.TIMEOUT),
    (162, HISTORY + "Something nobody has seen", OutcomeKind.REJECTED),
    (166, "HMDS Expired Contract Violation", OutcomeKind.EXPIRED),
    (200, "No security definition has been found for the request", OutcomeKind.NO_CONTRACT),
    (200, "The contract description specified for SYM is ambiguous", OutcomeKind.NO_CONTRACT),
    (
        321,
        "Error validating request.-'bM' : cause - Historical data requested duration is invalid.",
        OutcomeKind.REJECTED,
    ),
    (
        322,
        "Error processing request.-'bX' : cause - Only 50 simultaneous API historical data requests allowed",
        OutcomeKind.PACING,
    ),
    (322, "Error processing request.-'bX' : cause - Duplicate ticker id", OutcomeKind.UNAVAILABLE),
    (
        322,
        "Error processing request.-'bX' : cause - Duplicate ticker ID for API historical data query",
        OutcomeKind.UNAVAILABLE,
    ),
    (322, "Error al procesar la solicitud", OutcomeKind.REJECTED),
    (102, "Duplicate ticker ID", OutcomeKind.UNAVAILABLE),
    (386, "Duplicate ticker ID for API historical data query", OutcomeKind.UNAVAILABLE),
    (366, "No historical data query found for ticker id:7", OutcomeKind.UNAVAILABLE),
    (300, "Can't find EId with tickerId:7", OutcomeKind.UNAVAILABLE),
    (354, "Requested market data is not subscribed. Delayed market data is not available.", OutcomeKind.NOT_PERMITTED),
    (420, "Invalid Real-time Query:Historical data request pacing violation", OutcomeKind.PACING),
    (420, "Invalid Real-time Query:No market data permissions for NYSE STK", OutcomeKind.NOT_PERMITTED),
    (
        420,
        "Invalid Real-time Query:Trading TWS session is connected from a different IP address",
        OutcomeKind.UNAVAILABLE,
    ),
    (420, "Ungültige Echtzeitabfrage", OutcomeKind.REJECTED),
    (10197, "No market data during competing live session", OutcomeKind.UNAVAILABLE),
    (504, "Not connected", OutcomeKind.DISCONNECTED),
    (4711, "A code of tomorrow", OutcomeKind.REJECTED),
]


@pytest.mark.parametrize(("code", "text", "kind"), TEXTS)
def test_outcome_of_code_and_text(code: int, text: str, kind: OutcomeKind) -> None:
    assert classify(code, text) == Outcome(kind, code, text)


@pytest.mark.parametrize(("code", "text", "kind"), TEXTS)
def test_every_failure_has_a_remedy(code: int, text: str, kind: OutcomeKind) -> None:
    remedy = remedy_of(Outcome(kind, code, text))
    assert remedy.endswith(".")
    assert " " in remedy


def test_every_kind_has_a_remedy_but_success() -> None:
    assert remedy_of(Outcome(OutcomeKind.COMPLETE)) == ""
    assert all(remedy_of(Outcome(kind)) for kind in OutcomeKind if kind is not OutcomeKind.COMPLETE)


def test_a_missing_contract_is_not_believed_in_the_reset_window() -> None:
    text = "No security definition has been found for the request"
    assert classify(200, text, in_reset_window=True).kind is OutcomeKind.UNAVAILABLE
    assert (
        classify(200, "The contract description specified for SYM is ambiguous", in_reset_window=True).kind
        is OutcomeKind.NO_CONTRACT
    )


@pytest.mark.parametrize("code", [165, 310, 365, 2104, 2106, 2107, 2108, 2119, 2158, 2174, 2186, 10090, 10091, 10167])
def test_warnings_leave_a_request_running(code: int) -> None:
    assert is_warning(code)


@pytest.mark.parametrize("code", [162, 200, 300, 321, 354, 366, 1100, 2110, 10089, 10197, 4711])
def test_everything_else_does_not(code: int) -> None:
    assert not is_warning(code)


def test_only_codes_of_the_connection_say_that_it_broke() -> None:
    """What is said to one request, in whatever words, is about that request."""
    said = [row for row in CODES if row.kind is OutcomeKind.DISCONNECTED]
    assert {row.cls for row in said} == {CodeClass.CONNECTION}
    unknown = {row.code for row in CODES if row.cls is CodeClass.REQUEST} | {4711}
    words = "Palabras que nadie ha visto"
    assert not [
        code
        for code in unknown
        if classify(code, words).kind in (OutcomeKind.DISCONNECTED, OutcomeKind.EMPTY, OutcomeKind.COMPLETE)
    ]


@pytest.mark.parametrize("code", [162, 322, 420, 4711])
def test_a_text_nobody_knows_names_the_setting_for_english(code: int) -> None:
    text = "La consulta HMDS no devolvió datos: AAPL@SMART Trades"
    assert 'tick "Show API messages in English" in TWS (Configuration, API, Settings)' in remedy_of(
        classify(code, text)
    )


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("La consulta HMDS no devolvi\\u00f3 datos", "La consulta HMDS no devolvió datos"),
        ("Ung\\xfcltig", "Ungültig"),
        ("\\ud83d\\ude00", "\U0001f600"),
        ("\\ud83d", "\ufffd"),
        ("C:\\Jts\\users: Error processing request.-'bX'", "C:\\Jts\\users: Error processing request.-'bX'"),
    ],
)
def test_letters_that_are_not_ascii_are_readable(sent: str, text: str) -> None:
    assert unescaped(sent) == text


@pytest.mark.parametrize(
    ("code", "text", "tries"),
    [
        (162, HISTORY + "Request Timed Out", 4),
        (322, "Error processing request.-'bX' : cause - Duplicate ticker id", 4),
        (162, "Algo nuevo", 2),
        (420, "Algo nuevo", 2),
        (162, HISTORY + "Invalid time length", 1),
        (200, "No security definition has been found for the request", 1),
        (4711, "A code of tomorrow", 1),
    ],
)
def test_how_often_a_run_sends_a_request(code: int, text: str, tries: int) -> None:
    assert tries_of(classify(code, text), 4) == tries


def test_the_remedy_never_names_what_is_set() -> None:
    for row in CODES:
        remedy = remedy_of(Outcome(row.kind, row.code, row.phrase), delayed=True)
        assert "MARKET_DATA=delayed" not in remedy
    assert "MARKET_DATA=delayed" not in remedy_of(Outcome(OutcomeKind.NOT_PERMITTED), delayed=True)
    live = "Requested market data is not subscribed. Delayed market data is available."
    assert "MARKET_DATA=delayed" in remedy_of(Outcome(OutcomeKind.NOT_PERMITTED, 354, live))
    history = HISTORY + "No market data permissions for ISLAND STK."
    assert "MARKET_DATA=delayed" not in remedy_of(classify(162, history)), "it is of no use for history"


@pytest.mark.parametrize(
    ("code", "text", "follows"),
    [
        (
            10089,
            "Requested market data requires additional subscription for API. Delayed market data is available.",
            True,
        ),
        (
            354,
            "Requested market data is not subscribed. Delayed market data is available.AAPL NASDAQ.NMS/TOP/ALL",
            True,
        ),
        (354, "Los datos de mercado solicitados no están suscritos.", True),
        (354, "Requested market data is not subscribed. Delayed market data is not available.", False),
        (10168, "Requested market data is not subscribed. Delayed market data is not enabled.", True),
        (10186, "Requested market data is not subscribed. Delayed market data is not available.", False),
        (10197, "No market data during competing live session", False),
    ],
)
def test_delayed_ticks_may_follow_a_refusal(code: int, text: str, follows: bool) -> None:
    assert delayed_may_follow(code, text) is follows


def test_rows_with_a_phrase_come_before_the_general_one() -> None:
    general: set[int] = set()
    for row in CODES:
        assert row.code not in general, f"the row of {row.code} with {row.phrase!r} can never apply"
        if not row.phrase:
            general.add(row.code)
        assert row.phrase == row.phrase.lower()
        assert row.source
        assert row.remedy or row.cls is CodeClass.WARNING


KNOWN_CODES = (
    0,
    100,
    101,
    102,
    162,
    165,
    166,
    200,
    300,
    310,
    320,
    321,
    322,
    326,
    354,
    365,
    366,
    386,
    414,
    420,
    478,
    501,
    502,
    503,
    504,
    505,
    507,
    1100,
    1101,
    1102,
    1300,
    2100,
    2103,
    2104,
    2105,
    2106,
    2107,
    2108,
    2110,
    2119,
    2120,
    2157,
    2158,
    2174,
    2176,
    2186,
    2187,
    10089,
    10090,
    10091,
    10167,
    10168,
    10182,
    10186,
    10187,
    10197,
    10225,
    10299,
    10314,
    10339,
)
"""Every code that a TWS sends a data collector (the broker's message-code page and published logs), without those about
orders."""


def test_the_table_holds_every_known_code() -> None:
    assert [code for code in KNOWN_CODES if lookup(code) is None] == []
