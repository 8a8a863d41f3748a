"""Answers that a killed run left in the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import ContractDetailsRequest, Request
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import contract_rows
from trading_assets.collecting.report import Collected
from trading_assets.collecting.steps.equity_bars import collect_equity_bars
from trading_assets.collecting.steps.option_chains import collect_option_chains
from trading_assets.instrument import Instrument
from trading_assets.repositories.coverage import CoverageRepository
from trading_assets.repositories.schemas import CONTRACTS, DATASETS
from trading_assets.repositories.store import UpsertCounts
from trading_assets.selection_rules import SelectionRules
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.collecting.companies import Companies
from trading_assets_tests.collecting.days import FIRST, Days, wrong
from trading_assets_tests.collecting.decode.answers import contract
from trading_assets_tests.journals import mark_done

NEXT = datetime.fromisoformat("2026-06-08T16:30-04:00")
CLOSES = "select session, close from equity_bars where symbol = '{}' order by session"
QUOTES = """select con_id, quote_outcome, bid, ask from option_chains
            where selected and session = date '2026-06-05' and symbol = 'AAPL' order by con_id"""


class Split(Companies):
    """Prices are multiplied by a factor from some time on, those of the past too."""

    factor = 1.0

    def bars(self, *question: Any) -> Any:
        found = super().bars(*question)
        prices = ("open", "high", "low", "close")
        return [replace(bar, **{name: round(getattr(bar, name) * self.factor, 2) for name in prices}) for bar in found]


class Killed(Exception):
    """Stands for the end of the process."""


class Dying(Archive):
    """An archive whose process ends before its n-th question (0: none), and before it writes at the latest."""

    def __init__(self, settings: Settings, questions: int) -> None:
        super().__init__(settings)
        self._left = questions

    def ask(self, requests: Sequence[Request], *arguments: Any, **named: Any) -> list[Result]:
        self._left -= bool(requests)
        if requests and not self._left:
            raise Killed
        return super().ask(requests, *arguments, **named)

    def write(self, collected: Collected) -> UpsertCounts:
        raise Killed


@pytest.fixture
def split(tmp_path: Path) -> Iterator[Days]:
    market = Split()
    with Simulator(market, now=FIRST, limits=False) as simulator:
        yield Days(tmp_path / "lake", market, simulator)


def killed(days: Days, collect: Callable[[Archive], Collected], *, before: int = 0) -> None:
    """A run that ends before its n-th question, or else before it writes."""
    with Dying(days.settings, before) as archive, pytest.raises(Killed):
        archive.write(collect(archive))


def bars_of(*symbols: str, size: str = "1 day", first: date = date(2026, 5, 26)) -> Callable[[Archive], Collected]:
    def collect(archive: Archive) -> Collected:
        session = archive.calendar.current(archive.now)
        sessions, contracts = archive.calendar.sessions(first, session), archive.view(CONTRACTS)
        return collect_equity_bars(
            archive, archive.universe.resolve(symbols), sessions, contracts=contracts, bar_sizes=(size,)
        )

    return collect


def chain_of(archive: Archive) -> Collected:
    session, contracts = archive.calendar.current(archive.now), archive.view(CONTRACTS)
    rules = SelectionRules(max_days_to_expiry=8, strikes_around_spot=2)
    return collect_option_chains(archive, archive.universe.resolve(["AAPL"]), session, contracts=contracts, rules=rules)


def test_in_a_replay_the_rows_of_an_answer_have_the_pinned_instant(tmp_path: Path) -> None:
    pinned = datetime(2014, 6, 6, 20, 30, tzinfo=UTC)
    with Archive(Settings(data_dir=tmp_path, now=pinned)) as archive:
        request = ContractDetailsRequest(Instrument("AAPL"), date(2014, 6, 6))
        (claim,) = archive.journal.claim([request], archive.journal.now())
        record = contract(symbol="AAPL", sec_type="STK", currency="USD", con_id=265598)
        mark_done(archive.journal, claim.request_id, Outcome(OutcomeKind.COMPLETE), {"contracts": [record]})
        [answer] = archive.recovered([CONTRACTS.name])
    [row] = contract_rows([answer]).to_pylist()
    assert row["verified_at"] == row["collected_at"] == pinned


@pytest.mark.parametrize("before", [2, 0], ids=["before the history was asked for", "before anything was written"])
def test_a_restated_history_is_found_however_often_the_runs_are_killed(split: Days, before: int) -> None:
    split.collect("AAPL", steps="ce")
    stored = [row["close"] for row in split.rows(CLOSES.format("AAPL"))]
    split.market.factor = 0.5  # type: ignore[attr-defined]
    split.move(NEXT)
    killed(split, bars_of("AAPL"), before=before)
    killed(split, bars_of("AAPL"))
    assert [row["close"] for row in split.rows(CLOSES.format("AAPL"))] == stored, (
        "nothing is written before the history is here"
    )
    report = split.collect("AAPL", steps="e")["e"]
    assert split.asked() == {"historical_data": 2}, "the missing session and the history, each once"
    assert report.problems == []
    closes = [row["close"] for row in split.rows(CLOSES.format("AAPL"))]
    assert closes[:-1] == [round(close * 0.5, 2) for close in stored]
    assert len(closes) == len(stored) + 1


def test_restated_bars_wait_for_a_run_that_may_ask_for_their_history(split: Days) -> None:
    split.collect("AAPL", "IBM", steps="ce")
    stored = [row["close"] for row in split.rows(CLOSES.format("IBM"))]
    split.market.factor = 0.5  # type: ignore[attr-defined]
    split.move(NEXT)
    killed(split, bars_of("IBM"), before=2)
    split.collect("AAPL", steps="e")
    assert [row["close"] for row in split.rows(CLOSES.format("IBM"))] == stored
    split.collect("IBM", steps="e")
    assert [row["close"] for row in split.rows(CLOSES.format("IBM"))][:-1] == [
        round(close * 0.5, 2) for close in stored
    ]
    assert split.asked() == {"historical_data": 4}


def test_recovered_bars_count_as_rows_of_the_run(split: Days) -> None:
    split.collect("AAPL", steps="c")
    killed(split, bars_of("AAPL"))
    report = split.collect("AAPL", steps="e")["e"]
    assert split.asked() == {"contract_details": 1, "historical_data": 1}
    assert report.rows_by_symbol == {"AAPL": len(split.rows(CLOSES.format("AAPL")))}
    assert report.recovered == {row["session"] for row in split.rows(CLOSES.format("AAPL"))}


def test_quotes_that_a_killed_run_added_to_a_chain_leave_the_others_in_it(days: Days) -> None:
    days.collect("AAPL", steps="c")
    days.simulator.faults.add(do="error", code=321, text="Error validating request.", on="market_data", nth=2, times=3)
    days.collect("AAPL", steps="h")
    before = days.rows(QUOTES)
    assert {row["quote_outcome"] for row in before} == {"rejected", "complete"}
    killed(days, chain_of)
    days.move(NEXT)
    days.collect("AAPL", steps="ch")
    after = days.rows(QUOTES)
    assert {row["quote_outcome"] for row in after} == {"complete"}
    stored = [row for row in before if row["quote_outcome"] == "complete"]
    assert [row for row in after if row["con_id"] in {one["con_id"] for one in stored}] == stored
    assert days.rows("select condition from coverage where dataset = 'option_chains' and session = '2026-06-05'") == [
        {"condition": "partial"}
    ]


@pytest.mark.parametrize("dataset", ["contracts", "option_chains", "equity_bars", "option_bars"])
def test_what_is_written_without_its_coverage_is_asked_for_once_and_leaves_the_journal(
    days: Days, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = CoverageRepository.record

    def dies(coverage: CoverageRepository, rows: pa.Table) -> UpsertCounts:
        if dataset in rows["dataset"].to_pylist():
            raise Killed
        return record(coverage, rows)

    written = f"select * from {dataset} order by all"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(CoverageRepository, "record", dies)
        days.collect("AAPL")
    stored = days.rows(written)
    assert stored
    reports = days.collect("AAPL")
    assert wrong(reports) == []
    assert reports[{"contracts": "c", "option_chains": "h", "equity_bars": "e", "option_bars": "o"}[dataset]].sent == 0
    with Archive(days.settings) as archive:
        assert archive.journal.unapplied(DATASETS) == []
    assert [row for row in days.rows(written) if row in stored] == stored


SECONDS = (
    "select count(*) as bars, count(distinct start) as starts, min(start) as first, max(start) as last from equity_bars"
    " where bar_size = '1 secs'"
)


def test_windows_of_second_bars_that_a_killed_run_brought_are_not_asked_for_again(days: Days) -> None:
    days.collect("AAPL", steps="c")
    days.simulator.reset_counters()

    def some_windows(archive: Archive) -> Collected:
        ask = archive.ask
        archive.ask = lambda requests, *rest, **named: ask(requests[:5], *rest, **named)  # type: ignore[method-assign]
        return bars_of("AAPL", size="1 secs", first=FIRST.date())(archive)

    killed(days, some_windows)
    assert days.asked() == {"historical_data": 5}
    assert days.collect("AAPL", steps="e", bar_sizes=["1 secs"], lookback_days=0)["e"].problems == []
    assert days.asked() == {"historical_data": 12}
    assert days.rows("select condition from coverage where bar_size = '1 secs'") == [{"condition": "complete"}]
    days.collect("AAPL", steps="e", bar_sizes=["1 secs"], lookback_days=0)
    assert days.asked() == {"historical_data": 12}
    (found,) = days.rows(SECONDS)
    assert found["bars"] == found["starts"] > 5 * 2_000, "more than the windows of the killed run"
    assert (found["first"], found["last"]) >= (FIRST.replace(hour=9, minute=30), FIRST.replace(hour=15, minute=59))
