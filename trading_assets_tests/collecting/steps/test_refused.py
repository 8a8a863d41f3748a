"""What the broker refuses harms nothing else, is requested again in the next session, and only then believed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.settings import BrokerKind
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.rewriting import collect, rows, settings_for

MONDAY = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)
TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
TUESDAY_OPEN = datetime(2024, 6, 4, 13, 30, tzinfo=UTC)
LONG = timedelta(days=30)

SPANISH = (
    "Mensaje de error de los servicios de datos de mercado históricos:La consulta HMDS no devolvió datos: SYM@SMART"
    " Trades"
)
HISTORY = "Historical Market Data Service error message:"
ENGLISH_SETTING = 'tick "Show API messages in English" in TWS (Configuration, API, Settings)'

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def tws(market: GeneratedMarket) -> Iterator[Simulator]:
    with Simulator(market, now=MONDAY, limits=False) as running:
        yield running


def gather(
    tws: Simulator, folder: Path, now: datetime, symbols: list[str], steps: str, **changes: Any
) -> dict[str, Any]:
    tws.clock.set(now)
    tws.reset_counters()
    return collect(settings_for(folder, tws.port, now, **changes), symbols, steps=steps)


def coverage(tws: Simulator, folder: Path, dataset: str, where: str = "true") -> list[dict[str, Any]]:
    """What is recorded of the sessions that every collection of these tests looks back to."""
    sql = f"""select symbol, con_id, condition, broker_code, retry_after, count(*) as n from coverage
              where dataset = '{dataset}' and session >= '2024-05-28' and {where} group by all order by all"""
    return rows(settings_for(folder, tws.port, MONDAY), sql)


@pytest.mark.parametrize(
    ("code", "text", "condition"),
    [
        (162, SPANISH, "error"),
        (420, "Ungültige Echtzeitabfrage", "error"),
        (322, "Fehler bei der Verarbeitung", "error"),
        (9999, "Something of tomorrow", "error"),
        (162, f"{HISTORY}No market data permissions for ISLAND STK.", "not_permitted"),
        (366, "No historical data query found for ticker id:7", "pending"),
        (162, f"{HISTORY}Trading TWS session is connected from a different IP address", "pending"),
        (10197, "No market data during competing live session", "pending"),
    ],
)
def test_one_contract_refused_leaves_the_others_alone(
    code: int, text: str, condition: str, tws: Simulator, tmp_path: Path
) -> None:
    gather(tws, tmp_path, MONDAY, ["AAPL"], "ch")
    contract = rows(
        settings_for(tmp_path, tws.port, MONDAY),
        "select con_id, local_symbol from option_chains where selected limit 1",
    )[0]
    tws.faults.add(on="historical_data", contract=contract["local_symbol"], times=0, do="error", code=code, text=text)
    report = gather(tws, tmp_path, MONDAY, ["AAPL"], "eo")["o"]
    (problem,) = report.problems
    assert (problem.symbol, problem.broker_code) == ("AAPL", code)
    assert text in problem.sentence
    assert (ENGLISH_SETTING in problem.sentence) == (condition == "error")
    told = coverage(tws, tmp_path, "option_bars", "bar_size = '8 hours'")
    assert {row["condition"] for row in told if row["con_id"] != contract["con_id"]} <= {"complete", "no_trades"}
    (row,) = [row for row in told if row["con_id"] == contract["con_id"]]
    assert (row["condition"], row["broker_code"]) == (condition, code)
    assert row["retry_after"] == (None if condition == "pending" else TUESDAY_OPEN)

    tws.faults.clear()
    again = gather(tws, tmp_path, TUESDAY, ["AAPL"], "eo")["o"]
    assert again.problems == []
    assert {row["condition"] for row in coverage(tws, tmp_path, "option_bars")} <= {"complete", "no_trades"}


def test_a_refusal_of_a_second_session_is_believed(tws: Simulator, tmp_path: Path) -> None:
    tws.faults.add(on="historical_data", contract="AAPL STK", times=0, do="error", code=162, text=SPANISH)
    gather(tws, tmp_path, MONDAY, ["AAPL", "MSFT"], "ce")
    assert tws.counters.requests["historical_data"] == 3, "a text nobody knows is tried twice in a run"
    gather(tws, tmp_path, MONDAY, ["AAPL", "MSFT"], "ce")
    assert "historical_data" not in tws.counters.requests
    gather(tws, tmp_path, TUESDAY, ["AAPL", "MSFT"], "ce")
    assert {row["retry_after"] for row in coverage(tws, tmp_path, "equity_bars", "symbol = 'AAPL'")} == {TUESDAY + LONG}
    told = gather(tws, tmp_path, WEDNESDAY, ["AAPL", "MSFT"], "ce")["e"]
    assert ENGLISH_SETTING in next(problem.sentence for problem in told.problems if problem.symbol == "AAPL")
    assert {row["condition"] for row in coverage(tws, tmp_path, "equity_bars", "symbol = 'MSFT'")} == {"complete"}


def test_an_answer_in_between_makes_the_next_refusal_the_first_again(tws: Simulator, tmp_path: Path) -> None:
    tws.faults.add(on="historical_data", contract="AAPL STK", do="not_permitted")
    gather(tws, tmp_path, MONDAY, ["AAPL"], "ce")
    gather(tws, tmp_path, TUESDAY, ["AAPL"], "ce")
    assert {row["condition"] for row in coverage(tws, tmp_path, "equity_bars")} == {"complete"}
    tws.faults.add(on="historical_data", contract="AAPL STK", do="not_permitted")
    gather(tws, tmp_path, WEDNESDAY, ["AAPL"], "ce")
    (refused,) = [row for row in coverage(tws, tmp_path, "equity_bars") if row["condition"] != "complete"]
    assert refused["retry_after"] == datetime(2024, 6, 6, 13, 30, tzinfo=UTC)


def test_an_unknown_symbol_is_asked_for_once_more_and_then_left_alone(tws: Simulator, tmp_path: Path) -> None:
    tws.faults.add(on="contract_details", contract="ZZZZ", times=0, do="no_security")
    for now, retry in ((MONDAY, TUESDAY_OPEN), (TUESDAY, TUESDAY + LONG)):
        gather(tws, tmp_path, now, ["AAPL", "ZZZZ"], "c")
        refused = rows(
            settings_for(tmp_path, tws.port, now),
            "select retry_after from coverage where symbol = 'ZZZZ' order by session desc limit 1",
        )
        assert refused == [{"retry_after": retry}]
    gather(tws, tmp_path, WEDNESDAY, ["AAPL", "ZZZZ"], "c")
    assert "contract_details" not in tws.counters.requests


def test_an_underlying_that_is_not_found_is_not_one_without_options(tws: Simulator, tmp_path: Path) -> None:
    tws.faults.add(on="option_parameters", contract="AAPL", times=0, do="no_security")
    for asked in (1, None):
        report = gather(tws, tmp_path, MONDAY, ["AAPL"], "ch")["h"]
        assert tws.counters.requests.get("option_parameters") == asked
        (problem,) = report.problems
        assert "No security definition" in problem.sentence
        assert not any("has no listed options" in note for note in report.notes)
        assert [(row["condition"], row["broker_code"]) for row in coverage(tws, tmp_path, "option_chains")] == [
            ("error", 200)
        ]


def test_a_contract_is_asked_again_on_its_last_day_however_often_it_was_refused(tws: Simulator, tmp_path: Path) -> None:
    gather(tws, tmp_path, MONDAY, ["AAPL"], "che")
    friday = "20240607"
    contract, *_ = rows(
        settings_for(tmp_path, tws.port, MONDAY),
        f"select con_id, local_symbol from option_chains where selected and last_trade = '{friday}'",
    )
    tws.faults.add(on="historical_data", contract=contract["local_symbol"], times=0, do="validation")
    gather(tws, tmp_path, MONDAY, ["AAPL"], "o")
    gather(tws, tmp_path, TUESDAY, ["AAPL"], "eo")
    (refused,) = coverage(tws, tmp_path, "option_bars", f"con_id = {contract['con_id']} and bar_size = '8 hours'")
    assert refused["retry_after"] == datetime(2024, 6, 7, 4, 0, tzinfo=UTC)


def test_a_200_in_the_reset_window_leaves_the_other_symbols_alone(tws: Simulator, tmp_path: Path) -> None:
    in_window = datetime(2024, 6, 4, 4, 30, tzinfo=UTC)
    tws.faults.add(on="contract_details", contract="ZZZZ", times=0, do="no_security")
    reports = gather(tws, tmp_path, in_window, ["AAPL", "ZZZZ", "MSFT"], "ce", broker=BrokerKind.TWS)
    (problem,) = reports["c"].problems
    assert (problem.symbol, problem.outcome, problem.broker_code) == ("ZZZZ", "unavailable", 200)
    assert {row["symbol"]: row["condition"] for row in coverage(tws, tmp_path, "contracts")} == {
        "AAPL": "complete",
        "MSFT": "complete",
        "ZZZZ": "pending",
    }
    assert reports["e"].rows_by_symbol.keys() == {"AAPL", "MSFT"}
    tws.faults.clear()
    gather(tws, tmp_path, in_window + timedelta(hours=2), ["AAPL", "ZZZZ", "MSFT"], "c", broker=BrokerKind.TWS)
    assert tws.counters.requests["contract_details"] == 1, "asked again at once after the window"


@pytest.mark.parametrize("code", [322, 386, 102])
def test_a_duplicate_ticker_id_leaves_no_trace(code: int, tws: Simulator, tmp_path: Path) -> None:
    text = "Error processing request.-'bX' : cause - Duplicate ticker ID for API historical data query"
    tws.faults.add(on="historical_data", do="error", code=code, text=text)
    report = gather(tws, tmp_path, MONDAY, ["AAPL"], "ce")["e"]
    assert report.problems == []
    assert {row["condition"] for row in coverage(tws, tmp_path, "equity_bars")} == {"complete"}


def test_the_remedy_is_not_what_is_set_already(tws: Simulator, tmp_path: Path) -> None:
    text = "Requested market data is not subscribed. Delayed market data is not available.AAPL NASDAQ.NMS/TOP/ALL"
    sentences = {}
    for kind in ("live", "delayed"):
        tws.faults.add(on="market_data", contract="AAPL STK", do="error", code=354, text=text)
        report = gather(tws, tmp_path / kind, MONDAY, ["AAPL"], "ch", market_data=kind)["h"]
        sentences[kind] = next(problem.sentence for problem in report.problems if problem.broker_code == 354)
    assert "TRADING_ASSETS_MARKET_DATA=delayed" in sentences["live"]
    assert "TRADING_ASSETS_MARKET_DATA=delayed" not in sentences["delayed"]
    assert "Delayed data is asked for already" in sentences["delayed"]


def test_a_code_that_nobody_knows_is_asked_again_in_every_session(tws: Simulator, tmp_path: Path) -> None:
    for code in (478, 9999):
        tws.faults.add(
            on="historical_data", contract=" OPT 20240607 ", times=0, do="error", code=code, text="Of tomorrow."
        )
        for now, again in ((MONDAY, TUESDAY_OPEN), (TUESDAY, TUESDAY_OPEN + timedelta(days=1))):
            report = gather(tws, tmp_path / str(code), now, ["AAPL"], "cheo")["o"]
            assert {problem.broker_code for problem in report.problems} == {code}
            told = coverage(tws, tmp_path / str(code), "option_bars", "broker_code is not null")
            assert {row["retry_after"] for row in told} == {again}
        tws.faults.clear()
        assert gather(tws, tmp_path / str(code), WEDNESDAY, ["AAPL"], "cheo")["o"].problems == []
        assert not coverage(tws, tmp_path / str(code), "option_bars", "broker_code is not null")
