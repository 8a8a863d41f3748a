"""Whose data a symbol's rows are, over several days: re-used and renamed symbols, delisting, ambiguity, and the user's
decision."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from trading_assets.broker.requests import OptionParametersRequest
from trading_assets.cli.app import run
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.equity_bars import collect_equity_bars
from trading_assets.contract_changes import ContractChange
from trading_assets.definitions import build_defs
from trading_assets.instrument import Instrument
from trading_assets.monitoring.agenda import WantedRun, daily_bars, daily_snapshot
from trading_assets.monitoring.gaps import find_gaps, new_symbols, stale_chains
from trading_assets.monitoring.skips import Skip
from trading_assets.monitoring.status import platform_status
from trading_assets.monitoring.watch import current_issues
from trading_assets.repositories import ContractRepository, EquityBarRepository, ParquetStore
from trading_assets.repositories.schemas import CONTRACTS, Dataset
from trading_assets.simulator.market import ContractQuery
from trading_assets.state.engine import engine_of
from trading_assets_tests.collecting.days import FIRST, LATER, Days, wrong
from trading_assets_tests.rewriting import Fields, Hook, Link, Rewriting, collect, settings_for


def test_nothing_of_another_company_is_stored_under_the_symbol(days: Days) -> None:
    assert wrong(days.collect("META")) == []
    before = days.rows("select * from equity_bars order by all"), days.rows("select * from option_bars order by all")
    (old,) = days.con_ids("contracts", "META")
    days.market.held = {"META": "IBM"}
    days.move(LATER)
    reports = days.collect("META")
    assert days.asked() == {"contract_details": 1}, "nothing else is asked for"
    assert (
        days.rows("select * from equity_bars order by all"),
        days.rows("select * from option_bars order by all"),
    ) == before
    for dataset in ("contracts", "option_chains", "equity_bars"):
        assert days.con_ids(dataset, "META") == {old}
    (problem,) = reports["c"].problems
    assert (problem.outcome, problem.symbol) == ("contract_changed", "META")
    assert f"contract {old}" in problem.sentence
    assert "INTL BUSINESS MACHINES" in problem.sentence.upper()
    assert "universe resolve META --same" in problem.sentence
    assert [problem.kind for step in "heo" for problem in reports[step].problems] == ["prerequisite_violation"] * 3


def change_hands(days: Days) -> tuple[int, int]:
    """META collected, then taken over by another company, which one run has seen. The contract ids before and after."""
    days.collect("META")
    (old,) = days.con_ids("contracts", "META")
    days.market.held = {"META": "IBM"}
    days.move(LATER)
    days.collect("META")
    with Archive(days.settings) as archive:
        return old, archive.changes.unfinished()["META"].new_con_id


def test_a_changed_contract_is_looked_at_once_a_session_and_no_more(days: Days) -> None:
    change_hands(days)
    days.simulator.reset_counters()
    days.collect("META")
    assert days.asked() == {}
    days.move(datetime.fromisoformat("2026-06-16T16:30-04:00"))
    days.collect("META")
    assert days.asked() == {"contract_details": 1}


def test_another_company_closes_the_series_and_begins_a_new_one(days: Days) -> None:
    old, new = change_hands(days)
    stored = {
        name: days.rows(f"select count(*) as n from {name} where symbol = 'META'")[0]["n"]
        for name in ("equity_bars", "option_bars", "option_chains")
    }
    told = days.resolve("META", "new")
    assert f"META@{old}" in told
    assert days.con_ids("contracts", "META") == {new}
    assert days.rows("select * from equity_bars where symbol = 'META'") == []
    for name, count in stored.items():
        assert days.rows(f"select count(*) as n from {name} where symbol = 'META@{old}'")[0]["n"] == count > 0
    assert days.rows("select distinct symbol from coverage where dataset <> 'contracts'") == [{"symbol": f"META@{old}"}]
    reports = days.collect("META")
    assert wrong(reports) == []
    assert days.con_ids("equity_bars", "META") == days.con_ids("option_chains", "META") == {new}
    # The sessions of both companies overlap, and each keeps its own bar.
    assert days.con_ids("equity_bars", f"META@{old}") == {old}
    both = days.rows("select session from equity_bars group by session having count(*) = 2")
    assert both


def test_the_same_company_under_a_new_contract_continues_the_series(days: Days) -> None:
    old, new = change_hands(days)
    days.resolve("META", "same")
    assert days.con_ids("contracts", "META") == {old, new}
    reports = days.collect("META")
    assert wrong(reports) == []
    sessions = days.rows(
        "select con_id, min(session) as first, max(session) as last from equity_bars where symbol = 'META' group by"
        " con_id order by first"
    )
    assert [row["con_id"] for row in sessions] == [old, new]
    days.move(datetime.fromisoformat("2026-06-24T16:30-04:00"))
    assert days.collect("META", steps="c")["c"].complete, "the new contract is the series' own now"


def test_a_change_that_was_only_passing_goes_by_itself(days: Days) -> None:
    change_hands(days)
    days.market.held = {}
    days.move(datetime.fromisoformat("2026-06-16T16:30-04:00"))
    reports = days.collect("META")
    assert wrong(reports) == []
    with Archive(days.settings) as archive:
        assert archive.changes.unfinished() == {}
    with pytest.raises(ValueError, match="no contract change"):
        days.resolve("META", "same")


def test_without_the_state_database_the_lake_itself_tells_the_contracts_apart(days: Days) -> None:
    old, _ = change_hands(days)
    lost = [path for path in days.folder.iterdir() if path.name.startswith("state.db")]
    for path in lost:
        path.unlink()
    engine_of.cache_clear()  # another process: this one has the lost database open
    days.move(datetime.fromisoformat("2026-06-16T16:30-04:00"))
    assert [problem.outcome for problem in days.collect("META")["c"].problems] == ["contract_changed"]
    assert days.con_ids("equity_bars", "META") == {old}


def test_a_removed_symbol_that_another_company_holds_when_it_comes_back(days: Days) -> None:
    days.collect("META")
    with Archive(days.settings) as archive:
        archive.universe.remove(["META"])
    days.market.held = {"META": "IBM"}
    days.move(datetime.fromisoformat("2026-09-15T16:30-04:00"))
    reports = days.collect("META")
    assert [problem.outcome for problem in reports["c"].problems] == ["contract_changed"]
    assert days.asked() == {"contract_details": 1}


def test_a_renamed_company_goes_on_under_its_new_symbol(days: Days) -> None:
    days.collect("IBM", "AAPL")
    bars = days.rows("select * exclude (symbol) from equity_bars where symbol = 'IBM' order by all")
    days.market.held = {"WTSN": "IBM", "IBM": None}
    days.move(LATER)
    reports = days.collect("WTSN", "AAPL")
    assert wrong(reports) == []
    assert "WTSN goes on with the series of IBM: it is the same contract." in reports["c"].notes
    kept = days.rows(
        f"select * exclude (symbol) from equity_bars where symbol = 'WTSN' and session <= '{FIRST.date()}' order by all"
    )
    assert kept == bars
    for dataset in ("contracts", "option_chains", "equity_bars", "option_bars", "coverage"):
        assert days.rows(f"select * from {dataset} where symbol = 'IBM'") == []
    with Archive(days.settings) as archive:
        assert [entry.symbol for entry in archive.universe.entries()] == ["AAPL", "WTSN"]


def test_a_closed_series_goes_on_when_its_company_is_met_again(days: Days) -> None:
    old, _ = change_hands(days)
    days.resolve("META", "new")
    bars = days.rows("select count(*) as n from equity_bars")
    days.market.held = {"META": "IBM", "OLDM": "META"}
    reports = days.collect("OLDM", steps="c")
    assert reports["c"].notes == [f"OLDM goes on with the series of META@{old}: it is the same contract."]
    assert days.rows("select count(*) as n from equity_bars where symbol = 'OLDM'") == bars


def test_a_delisted_symbol_keeps_its_series_and_the_others_go_on(days: Days) -> None:
    days.collect("META", "AAPL")
    (old,) = days.con_ids("contracts", "META")
    bars = days.rows("select * from equity_bars where symbol = 'META'")
    days.market.held = {"META": None}
    days.move(LATER)
    reports = days.collect("META", "AAPL", steps="c")
    (problem,) = reports["c"].problems
    assert (problem.symbol, problem.outcome, problem.broker_code) == ("META", "no_contract", 200)
    (note,) = reports["c"].notes
    assert f"contract {old}, " in note
    assert "trading-assets universe remove META" in note
    assert days.con_ids("contracts", "META") == {old}
    assert days.rows("select * from equity_bars where symbol = 'META'") == bars
    assert days.rows(
        f"select condition from coverage where dataset = 'contracts' and session = '{LATER.date()}' order by symbol"
    ) == [
        {"condition": "complete"},
        {"condition": "no_contract"},
    ]


def test_a_chain_that_names_another_underlying_is_not_stored(days: Days) -> None:
    """The symbol is taken over a day after its details were verified: they are not requested again, the chain shows
    it."""
    days.collect("META")
    (old,) = days.con_ids("contracts", "META")
    days.market.held = {"META": "IBM"}
    days.market.names_by_symbol = True
    days.move(datetime.fromisoformat("2026-06-08T16:30-04:00"))
    reports = days.collect("META")
    assert [problem.outcome for problem in reports["h"].problems] == ["contract_changed"]
    assert days.con_ids("option_chains", "META") == {old}
    assert days.rows("select distinct session from option_chains where symbol = 'META'") == [{"session": FIRST.date()}]
    with pytest.raises(ValueError, match=r"daily_update\(\['META'\]\)"):
        days.resolve("META", "new")
    reports = days.collect("META")
    assert [problem.outcome for problem in reports["c"].problems] == ["contract_changed"]
    days.resolve("META", "new")
    assert wrong(days.collect("META")) == []


def two_listings(primary_exchange: str, currency: str = "USD") -> Hook:
    """A broker that answers a stock's details with a second contract of the same symbol, first in the answer and with
    the smaller id."""

    def hook(fields: Fields, _link: Link) -> list[Fields] | None:
        if fields[0] != "10" or fields[3] != "STK":
            return None
        other = list(fields)
        other[12], other[20], other[16], other[8], other[19] = (
            "1000",
            primary_exchange,
            f"SMART,{primary_exchange}",
            currency,
            "WORLD EX USA UCITS ETF",
        )
        return [other, fields]

    return hook


@pytest.mark.parametrize(
    ("primary_exchange", "currency"), [("LSEETF", "USD"), ("", "USD"), ("EBS", "USD"), ("NYSE", "MXN")]
)
def test_of_two_listings_the_one_in_the_us_is_taken(days: Days, primary_exchange: str, currency: str) -> None:
    with Rewriting(days.simulator.port, on_server=two_listings(primary_exchange, currency)) as wire:
        reports = collect(settings_for(days.folder, wire.port, FIRST), ["EXUS"], "c")
    assert reports["c"].complete
    assert 1000 not in days.con_ids("contracts", "EXUS")


def test_two_us_listings_are_refused_with_the_candidates_until_one_is_named(days: Days) -> None:
    with Rewriting(days.simulator.port, on_server=two_listings("IEX")) as wire:
        settings = settings_for(days.folder, wire.port, FIRST)
        reports = collect(settings, ["EXUS", "AAPL"], "c")
        sentences = {problem.symbol: problem.sentence for problem in reports["c"].problems}
        assert (
            "EXUS is ambiguous, 2 contracts fit: contract 1000, WORLD EX USA UCITS ETF, listed on IEX, in USD;"
            " contract " in sentences["EXUS"]
        )
        assert "universe add EXUS --primary-exchange EXCHANGE" in sentences["EXUS"]
        assert days.rows("select * from contracts") == []
        asked = len(wire.asked(9))
        collect(settings, ["EXUS", "AAPL"], "c")
        assert len(wire.asked(9)) == asked, "the same words are not requested again at once"
        with Archive(settings) as archive:
            archive.universe.add(["EXUS"], primary_exchange="iex", now=archive.now)
        passing = Rewriting(days.simulator.port, on_server=two_listings("IEX"), on_client=any_listing)
    with passing:
        reports = collect(settings_for(days.folder, passing.port, FIRST), ["EXUS"], "c")
    assert reports["c"].complete, "other words are a new question"
    assert days.rows("select con_id, primary_exchange, exchange from contracts") == [
        {"con_id": 1000, "primary_exchange": "IEX", "exchange": "SMART"}
    ]


def any_listing(fields: Fields, _link: Link) -> list[Fields] | None:
    """The question without the primary exchange: the simulator knows no contract on the other one."""
    return [[*fields[:11], "", *fields[12:]]] if fields[0] == "9" else None


def test_listings_that_come_in_another_order_or_later_change_nothing(days: Days) -> None:
    days.collect("EXUS", steps="c")
    before = days.con_ids("contracts", "EXUS")
    days.move(LATER)
    with Rewriting(days.simulator.port, on_server=two_listings("IEX")) as wire:
        reports = collect(settings_for(days.folder, wire.port, LATER), ["EXUS"], "c")
    assert reports["c"].complete
    assert days.con_ids("contracts", "EXUS") == before


def test_route_and_listing_exchange_are_two_things(days: Days) -> None:
    with Rewriting(days.simulator.port) as wire:
        settings = settings_for(days.folder, wire.port, FIRST)
        with Archive(settings) as archive:
            archive.universe.add(["KWEB"], primary_exchange=listing(days, "KWEB"), now=archive.now)
        assert collect(settings, ["KWEB"], "ce")["e"].complete
        assert [frame[9] for frame in wire.asked(20)] == ["SMART"], "bars are asked of all exchanges together"
        with Archive(settings) as archive:
            archive.universe.add(["KWEB"], exchange=listing(days, "KWEB"), now=archive.now)
        collect(settings, ["KWEB"], "ce", refresh=True)
        assert wire.asked(20)[-1][9] == listing(days, "KWEB"), "the route is another one only when it is given"


def listing(days: Days, symbol: str) -> str:
    """The listing exchange of a company of the simulator."""
    (found,) = days.market.contracts(ContractQuery(symbol=symbol, sec_type="STK"), FIRST)
    return found.primary_exchange


def test_the_alert_names_both_contracts_and_nothing_else_is_told(days: Days) -> None:
    old, new = change_hands(days)
    days.move(datetime.fromisoformat("2026-06-16T11:00-04:00"))
    (issue,) = current_issues(days.settings)
    assert issue.key == ("contract_changed", "META")
    assert f"contract {old}, " in issue.reason
    assert f"contract {new}, " in issue.reason
    assert "listed on" in issue.reason
    assert "universe resolve META --same" in issue.advice
    wrong = platform_status(days.settings, probe=False).wrong
    assert [sentence for sentence in wrong if "META" in sentence] == [f"{issue.reason} {change_of(days).remedy}"], (
        "status says it once"
    )
    days.resolve("META", "new")
    assert "contract_changed" not in {each.alert_type for each in current_issues(days.settings)}


def change_of(days: Days) -> ContractChange:
    with Archive(days.settings) as archive:
        return archive.changes.unfinished()["META"]


def test_the_platform_asks_nothing_by_itself_but_the_details_once_a_session(days: Days) -> None:
    change_hands(days)
    settings = days.settings
    assert find_gaps(settings) == []
    assert stale_chains(settings) == []
    assert new_symbols(settings) == []
    assert isinstance(daily_snapshot(settings, settings.clock()), Skip)
    evening = datetime.fromisoformat("2026-06-15T19:00-04:00")
    assert isinstance(daily_bars(settings, evening), Skip)
    days.move(datetime.fromisoformat("2026-06-16T15:50-04:00"))
    assert isinstance(daily_snapshot(days.settings, days.settings.clock()), WantedRun)


def test_the_command_decides(days: Days, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = change_hands(days)
    for name, value in days.settings.environment().items():
        monkeypatch.setenv(name, value)
    assert run(["universe", "resolve", "META"]) == 2
    assert run(["universe", "resolve", "AAPL", "--same"]) == 1
    assert "AAPL has no contract change to decide" in capsys.readouterr().err
    assert run(["universe", "series", "META", "--json"]) == 0
    assert [(row["con_id"], row["status"]) for row in json.loads(capsys.readouterr().out)] == [(old, "changed")]
    assert run(["universe", "resolve", "meta", "--new"]) == 0
    assert f"META@{old}" in capsys.readouterr().out
    assert run(["universe", "series", "--json"]) == 0
    found = [(row["series"], row["con_id"], row["status"]) for row in json.loads(capsys.readouterr().out)]
    assert found == [(f"META@{old}", old, "closed"), ("META", new, "present")]


def test_the_ui_decides(days: Days) -> None:
    old, _ = change_hands(days)
    settings = days.settings
    given = settings.model_dump(exclude={"data_dir_setting", "selection"}, exclude_none=True, mode="json")
    job = build_defs(**given, data_dir=str(settings.data_dir)).resolve_job_def("resolve_contract")
    config = {"ops": {"decide_contract": {"config": {"symbol": "META", "decision": "SAME"}}}}
    assert job.execute_in_process(run_config=config).success
    assert days.con_ids("contracts", "META") > {old}


def test_repositories_read_the_present_company_and_the_earlier_one_by_its_contract(days: Days) -> None:
    old, new = change_hands(days)
    days.resolve("META", "new")
    days.collect("META")
    bars = EquityBarRepository(data_dir=days.folder)
    assert set(bars.load_symbol_data("META")["con_id"]) == {new}
    assert set(bars.load_symbol_data("META", con_id=old)["con_id"]) == {old}
    assert set(bars.load_symbol_data(f"META@{old}")["con_id"]) == {old}
    contracts = ContractRepository(data_dir=days.folder).latest("META")
    assert contracts is not None
    assert contracts["con_id"] == new


def test_a_decision_that_was_killed_is_carried_out_by_the_next_run(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = change_hands(days)
    everything = days.rows("select count(*) as n from equity_bars")
    moved: list[str] = []
    relabel = ParquetStore.relabel

    def dies(store: ParquetStore, dataset: Dataset, symbol: str, new_symbol: str) -> int:
        moved.append(dataset.name)
        if len(moved) == 3:
            raise KeyboardInterrupt
        return relabel(store, dataset, symbol, new_symbol)

    with monkeypatch.context() as patch:
        patch.setattr(ParquetStore, "relabel", dies)
        with pytest.raises(KeyboardInterrupt):
            days.resolve("META", "new")
    assert [problem.outcome for problem in days.collect("META", steps="e")["e"].problems] == ["contract_changed"]
    days.collect("META", steps="c")
    assert days.con_ids("contracts", "META") == {new}
    assert days.con_ids("contracts", f"META@{old}") == {old}
    assert days.rows(f"select count(*) as n from equity_bars where symbol = 'META@{old}'") == everything
    assert days.rows("select * from coverage where symbol = 'META' and dataset <> 'contracts'") == []


def with_sec_ids(fields: Fields, _link: Link) -> list[Fields] | None:
    """Contract details with an ISIN and a CUSIP of the contract."""
    if fields[0] != "10" or fields[3] != "STK":
        return None
    return [[*fields[:30], "2", "ISIN", f"US{fields[12]}", "CUSIP", fields[12], *fields[31:]]]


def test_both_contracts_are_named_with_isin_and_cusip(days: Days) -> None:
    for now, held in ((FIRST, {}), (LATER, {"META": "IBM"})):
        days.market.held = dict(held)
        days.move(now)
        with Rewriting(days.simulator.port, on_server=with_sec_ids) as wire:
            reports = collect(settings_for(days.folder, wire.port, now), ["META"], "c")
    (old,) = days.con_ids("contracts", "META")
    change = change_of(days)
    assert days.rows("select sec_ids from contracts") == [{"sec_ids": f"CUSIP={old} ISIN=US{old}"}]
    for con_id in (old, change.new_con_id):
        assert f"CUSIP={con_id}, ISIN=US{con_id}" in reports["c"].problems[0].sentence


def test_a_decision_waits_for_requests_that_are_in_flight(days: Days) -> None:
    change_hands(days)
    with Archive(days.settings) as other:
        request = OptionParametersRequest(Instrument("META", con_id=1), LATER.date())
        other.journal.claim([request], datetime.now(UTC))
        with pytest.raises(ValueError, match="in flight in another process"):
            days.resolve("META", "new")
    days.resolve("META", "new")


def test_answers_on_their_way_to_the_lake_go_with_the_series_they_are_of(days: Days) -> None:
    """A run that was killed between the answer and the write: its bars are the old company's, whatever was decided
    meanwhile."""
    days.collect("META", steps="ch")
    (old,) = days.con_ids("contracts", "META")
    with Archive(days.settings) as killed:
        entries = killed.universe.entries()
        collect_equity_bars(killed, entries, [FIRST.date()], contracts=killed.view(CONTRACTS), bar_sizes=("1 day",))
    days.market.held = {"META": "IBM"}
    days.move(LATER)
    days.collect("META", steps="c")
    days.resolve("META", "new")
    days.collect("META", steps="e")
    assert days.con_ids("equity_bars", f"META@{old}") == {old}
    assert old not in days.con_ids("equity_bars", "META")


def test_a_company_that_is_spun_off_is_a_series_of_its_own(days: Days) -> None:
    days.collect("IBM")
    (parent,) = days.con_ids("contracts", "IBM")
    days.move(LATER)
    assert wrong(days.collect("IBM", "SPUN")) == []
    assert days.con_ids("contracts", "IBM") == days.con_ids("equity_bars", "IBM") == {parent}
    assert parent not in days.con_ids("equity_bars", "SPUN")
