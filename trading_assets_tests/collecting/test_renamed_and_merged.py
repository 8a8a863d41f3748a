"""Companies that get another symbol, are taken over or delisted, seen session by session: what is asked, what is
stored, what is reported to the user and what is no longer requested."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import CollectionReport
from trading_assets.collecting.steps.option_greeks import compute_option_greeks
from trading_assets.monitoring.status import platform_status
from trading_assets.repositories import query
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.corporate_actions import ActionKind, CorporateAction, MarketWithMergers
from trading_assets.validation import Scope, validate
from trading_assets_tests.rewriting import PATIENT, collect, settings_for

pytestmark = pytest.mark.slow

ACTION = date(2024, 6, 6)
RENAMED, NEW = "ABC", "XYZQ"
ANSWERED, ANSWERED_NEW = "GHI", "GHIX"
SPUN, SPUN_NEW = "AAB", "AABN"
TARGET, ACQUIRER, BOUGHT, DELISTED = "PQR", "STU", "JKL", "KLM"
ACTIONS = [
    CorporateAction(RENAMED, ACTION, ActionKind.RENAME, new_symbol=NEW),
    CorporateAction(ANSWERED, ACTION, ActionKind.RENAME, new_symbol=ANSWERED_NEW, old_symbol_answers=True),
    CorporateAction(SPUN, ACTION, ActionKind.SPIN_OFF, 0.93),
    CorporateAction(SPUN, ACTION, ActionKind.RENAME, new_symbol=SPUN_NEW),
    CorporateAction(TARGET, ACTION, ActionKind.MERGER, new_symbol=ACQUIRER, shares=0.3, cash=12.4),
    CorporateAction(BOUGHT, ACTION, ActionKind.MERGER, cash=108.0),
    CorporateAction(DELISTED, ACTION, ActionKind.DELISTING),
]
SYMBOLS = [RENAMED, ANSWERED, SPUN, TARGET, ACQUIRER, BOUGHT, DELISTED]
FOLLOWING = {RENAMED: NEW, ANSWERED: ANSWERED_NEW, SPUN: SPUN_NEW}
DAYS = ("2024-06-05", "2024-06-06", "2024-06-07", "2024-06-10", "2024-06-11", "2024-06-12")
DECIDED = "2024-06-11"
"""The user adds the new symbols."""
RULES = {"max_days_to_expiry": 16, "strikes_around_spot": 2}


class World(NamedTuple):
    settings: Settings
    asked: dict[str, dict[str, Counter[str]]]
    """Requests by day, step and symbol."""
    reports: dict[str, dict[str, CollectionReport]]
    wrong: dict[str, list[str]]
    """What status says is wrong, by day."""
    anew: Settings
    """A data folder into which the bars were collected on the last day only."""

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return query(self.settings.data_dir, sql).to_pylist()

    def told(self, day: str, step: str, symbol: str) -> list[str]:
        return [problem.sentence for problem in self.reports[day][step].problems if problem.symbol == symbol]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("renamed")
    asked: dict[str, dict[str, Counter[str]]] = {}
    reports: dict[str, dict[str, CollectionReport]] = {}
    wrong: dict[str, list[str]] = {}
    with Simulator(MarketWithMergers(ACTIONS), now=datetime.fromisoformat(f"{DAYS[0]}T15:50-04:00")) as tws:
        for day in DAYS:
            symbols = [FOLLOWING.get(symbol, symbol) if day >= DECIDED else symbol for symbol in SYMBOLS]
            for clock, steps in (("15:50", "ch"), ("16:30", "eo")):
                now = datetime.fromisoformat(f"{day}T{clock}-04:00")
                tws.clock.set(now)
                settings = settings_for(folder / "daily", tws.port, now, **PATIENT)
                found = collect(settings, symbols, steps, rules=RULES, lookback_days=6)
                asked.setdefault(day, {}).update({step: report.asked_by_symbol for step, report in found.items()})
                reports.setdefault(day, {}).update(found)
            wrong[day] = platform_status(settings).wrong
        anew = settings_for(folder / "anew", tws.port, now, **PATIENT)
        collect(anew, [*FOLLOWING.values(), ACQUIRER], "ce", lookback_days=14)
        assert not tws.counters.violations and not tws.counters.internal_errors
    return World(settings, asked, reports, wrong, anew)


def sentence(world: World, symbol: str) -> str:
    new = FOLLOWING[symbol]
    [row] = world.rows(f"select distinct con_id from contracts where symbol = '{new}'")
    return (
        f"{symbol} was renamed: its contract {row['con_id']} has the symbol {new} now. Nothing of its option chains is"
        f" collected under {symbol}, and what expires meanwhile is lost: `trading-assets universe add {new}` and an"
        f" update move the series to {new} and continue it."
    )


@pytest.mark.parametrize("symbol", [RENAMED, SPUN])
def test_a_rename_is_told_on_its_day_and_by_status(world: World, symbol: str) -> None:
    assert world.told("2024-06-06", "h", symbol) == [sentence(world, symbol)]
    assert world.told("2024-06-07", "c", symbol) == [sentence(world, symbol)]
    assert any(sentence(world, symbol) in words for words in world.wrong["2024-06-07"])
    assert world.told("2024-06-10", "h", symbol) == [sentence(world, symbol)]


def test_a_renamed_company_costs_few_requests_until_the_user_decides(world: World) -> None:
    """On its day the empty parameters and the contract by its id, then the details by symbol and by id, and no chain;
    bars go on by the contract's id."""
    of = {day: {step: found[step][RENAMED] for step in "chc"} for day, found in world.asked.items()}
    assert [of[day] for day in DAYS[1:4]] == [{"c": 0, "h": 2}, {"c": 2, "h": 0}, {"c": 2, "h": 0}]
    assert [world.asked[day]["e"][RENAMED] for day in DAYS[1:4]] == [1, 1, 1]


def test_options_that_an_old_symbol_still_answers_are_not_stored_under_it(world: World) -> None:
    """Their symbol is another one: the answer is in quarantine. The details tell the new symbol when they are due."""
    for day in DAYS[1:4]:
        told = " ".join(words for words in world.told(day, "h", ANSWERED) if "in quarantine" in words)
        assert f"symbol '{ANSWERED_NEW}' is not {ANSWERED}" in told
        assert world.asked[day]["c"][ANSWERED] == 0 and world.asked[day]["e"][ANSWERED] == 1


@pytest.mark.parametrize("symbol", list(FOLLOWING))
def test_the_series_goes_on_under_the_new_symbol(world: World, symbol: str) -> None:
    new = FOLLOWING[symbol]
    for dataset in ("contracts", "option_chains", "equity_bars", "option_bars", "coverage"):
        assert world.rows(f"select * from {dataset} where symbol = '{symbol}'") == []
    assert f"{new} goes on with the series of {symbol}: it is the same contract." in world.reports[DECIDED]["c"].notes
    later = world.rows(f"""select distinct dataset, condition from coverage where symbol = '{new}'
                           and session >= '{DECIDED}' and condition not in ('complete', 'no_trades')""")
    assert later == []
    assert not any(new in words for words in world.wrong[DAYS[-1]] if "lost" not in words)


def test_bars_are_those_of_one_collection_at_the_end(world: World) -> None:
    symbols = ", ".join(f"'{symbol}'" for symbol in (*FOLLOWING.values(), ACQUIRER))
    sql = f"""select symbol, bar_size, start, session, open, high, low, close, volume, wap, bar_count
              from equity_bars where session >= '2024-05-31' and symbol in ({symbols}) order by all"""
    assert world.rows(sql) == query(world.anew.data_dir, sql).to_pylist()


def test_what_was_followed_is_followed_through_rename_merger_and_delisting(world: World) -> None:
    """Bars of every contract that was selected before, in every session; of a stock bought for cash none is left. (What
    the price alone leaves behind is dropped, as of the two others.)"""
    lost = world.rows(f"""
        with followed as (select con_id, symbol, any_value(expiry) as expiry from option_chains
                          where selected and session = '{DAYS[0]}'
                          and symbol not in ('{ACQUIRER}', '{ANSWERED_NEW}') group by all)
        select f.symbol, d.session, count(*) as n from followed f
        join (select unnest(['{"', '".join(DAYS)}']::date[]) as session) d on d.session <= f.expiry
        left join (from coverage where dataset = 'option_bars' and bar_size = '8 hours'
                   and condition in ('complete', 'no_trades')) c on c.con_id = f.con_id and c.session = d.session
        where c.con_id is null group by all order by all""")
    assert {row["symbol"] for row in lost} == {BOUGHT}
    assert [(row["session"], row["n"]) for row in lost] == [(date.fromisoformat(day), 8) for day in DAYS[1:]]
    doubled = world.rows(
        "select con_id, start from option_bars where bar_size = '8 hours' group by all having count(*) > 1"
    )
    assert doubled == []
    chains = world.rows(f"""
        select symbol, trading_class, count(*) filter (selected) as selected from option_chains
        where session = '{DAYS[-1]}' group by all order by all""")
    assert [(row["symbol"], row["trading_class"]) for row in chains] == [
        (SPUN_NEW, SPUN_NEW),
        (SPUN_NEW, f"{SPUN_NEW}1"),
        (ANSWERED_NEW, ANSWERED_NEW),
        (ACQUIRER, ACQUIRER),
        (ACQUIRER, f"{ACQUIRER}1"),
        (NEW, NEW),
    ]


@pytest.mark.parametrize("symbol", [TARGET, BOUGHT, DELISTED])
def test_a_company_that_is_gone_is_asked_for_twice_and_then_left_alone(world: World, symbol: str) -> None:
    asked = [{step: world.asked[day][step][symbol] for step in "che"} for day in DAYS[1:]]
    assert asked[0] == {"c": 0, "h": 2, "e": 1}, "no parameters; the contract by its id"
    assert asked[1] == {"c": 2, "h": 1, "e": 1}, "details by symbol and by id"
    assert asked[2] == {"c": 2, "h": 0, "e": 0}, "a second session denies them: believed"
    assert asked[3:] == [{"c": 0, "h": 0, "e": 0}] * 2
    [note] = [note for note in world.reports["2024-06-07"]["c"].notes if note.startswith(f"{symbol}:")]
    assert "Its contract id is unknown too: it was delisted or taken over." in note
    assert f"`trading-assets universe remove {symbol}` ends that" in note
    [told] = world.told(DAYS[-1], "e", symbol)
    assert told.startswith(f"The broker knows no contract of {symbol} any more (code 200), so nothing was asked for it")
    bars = world.rows(f"select max(session) as last, count(*) as n from equity_bars where symbol = '{symbol}'")
    assert bars[0]["last"] == date(2024, 6, 5) and bars[0]["n"] >= 5, "what was collected stays, nothing is added"
    conditions = world.rows(f"""select session, condition from coverage where symbol = '{symbol}'
                                and dataset = 'equity_bars' and session >= '{ACTION}' order by session""")
    assert conditions == [{"session": date.fromisoformat(day), "condition": "no_contract"} for day in DAYS[1:]], (
        "the sessions that were not asked for, too"
    )


def test_options_of_a_target_are_an_adjusted_class_of_the_acquirer_left_out_with_a_reason(world: World) -> None:
    found = world.rows(f"""
        select trading_class, multiplier, count(*) as n, count(*) filter (selected) as selected,
               count(distinct under_con_id) as underlyings from option_chains
        where symbol = '{ACQUIRER}' and session = '{DAYS[-1]}' group by all order by all""")
    assert [(row["trading_class"], row["multiplier"], row["underlyings"]) for row in found] == [
        (ACQUIRER, 100.0, 1),
        (f"{ACQUIRER}1", 100.0, 1),
    ]
    assert [row["selected"] > 0 for row in found] == [True, False]
    assert (
        f"{ACQUIRER}: what a contract of class {ACQUIRER}1 (multiplier 100) delivers is not known, so only those of its"
        " contracts are selected that were followed before the adjustment."
    ) in world.reports["2024-06-07"]["h"].notes


def test_rules_do_not_accuse_right_data(world: World) -> None:
    report = validate(world.settings, Scope((*FOLLOWING.values(), ACQUIRER)), record=False)
    wrong = {result.rule.name: result.rows.to_pylist()[:3] for result in report.failing()}
    assert set(wrong) <= {"chain_each_session", "near_broker_volatility"}, wrong


def test_cash_in_the_deliverable_gives_greeks_a_reason_and_no_value(tmp_path: Path) -> None:
    """All contracts of the acquirer are quoted: 30 shares and 1,240 dollars are no simple part of the usual class."""
    now = datetime.fromisoformat("2024-06-07T15:50-04:00")
    with Simulator(MarketWithMergers(ACTIONS), now=now) as tws:
        settings = settings_for(tmp_path, tws.port, now, **PATIENT)
        collect(settings, [ACQUIRER], "che", rules={"max_days_to_expiry": 16, "strikes_around_spot": None})
    with Archive(settings) as archive:
        archive.write(compute_option_greeks(archive, [ACQUIRER], [date(2024, 6, 7)]))
    implied = query(tmp_path, f"""
        select median(strike + c.mid - p.mid) as price, any_value(underlying_price) as stock from
            (select *, (bid + ask) / 2 as mid from option_chains where "right" = 'C' and bid > 0) c
            join (select strike, trading_class, (bid + ask) / 2 as mid from option_chains
                  where "right" = 'P' and bid > 0) p using (strike, trading_class)
        where trading_class = '{ACQUIRER}1'""").to_pylist()[0]  # fmt: skip
    assert implied["price"] == pytest.approx(0.3 * implied["stock"] + 12.4, rel=0.01)
    reasons = query(
        tmp_path,
        """
        select trading_class, null_reason, implied_volatility is null as without, count(*) as n
        from option_greeks group by all order by all""",
    ).to_pylist()
    basket = [row for row in reasons if row["trading_class"] == f"{ACQUIRER}1"]
    assert {(row["null_reason"], row["without"]) for row in basket} == {("adjusted_deliverable", True)}
    assert sum(row["n"] for row in basket) > 20
    usual = {row["null_reason"] for row in reasons if row["trading_class"] == ACQUIRER}
    assert None in usual and "adjusted_deliverable" not in usual
    report = validate(settings, Scope((ACQUIRER,)), record=False)
    assert {result.rule.name for result in report.failing()} <= {"near_broker_volatility", "open_interest_present"}
