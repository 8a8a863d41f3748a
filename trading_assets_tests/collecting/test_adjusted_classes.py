"""Options that corporate actions adjust, seen over several sessions: what stays selected, what is asked, what rules and
greeks say."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from trading_assets.broker.quarantine import Quarantine
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import CollectionReport
from trading_assets.collecting.steps.option_greeks import compute_option_greeks
from trading_assets.repositories import query
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.corporate_actions import ActionKind, CorporateAction, MarketWithAdjustedOptions
from trading_assets.validation import Scope, validate
from trading_assets_tests.rewriting import collect, settings_for

pytestmark = pytest.mark.slow

ACTION = date(2024, 6, 6)
REVERSE, THREE_TWO, DIVIDEND, FOUR, SPIN_OFF = "ABC", "JKL", "PQR", "STU", "AAB"
ACTIONS = [
    CorporateAction(REVERSE, ACTION, ActionKind.REVERSE_SPLIT, 10.0),
    CorporateAction(THREE_TWO, ACTION, ActionKind.SPLIT, 2 / 3),
    CorporateAction(DIVIDEND, ACTION, ActionKind.SPECIAL_DIVIDEND, 1 - 2.65 / 105),
    CorporateAction(FOUR, ACTION, ActionKind.SPLIT, 0.25),
    CorporateAction(SPIN_OFF, ACTION, ActionKind.SPIN_OFF, 0.93),
]
SYMBOLS = [action.symbol for action in ACTIONS]
DAYS = ("2024-06-05", "2024-06-06", "2024-06-07", "2024-06-10")
RULES = {"max_days_to_expiry": 16, "strikes_around_spot": 2}


class World(NamedTuple):
    """The lake after all days, the reports of each day's chains, and the listings asked for on each day by symbol."""

    settings: Settings
    chains: dict[str, CollectionReport]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return query(self.settings.data_dir, sql).to_pylist()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("adjusted")
    chains: dict[str, CollectionReport] = {}
    with Simulator(MarketWithAdjustedOptions(ACTIONS), now=datetime.fromisoformat(f"{DAYS[0]}T15:50-04:00")) as tws:
        for day in DAYS:
            for clock, steps in (("15:50", "ch"), ("16:30", "eo")):
                now = datetime.fromisoformat(f"{day}T{clock}-04:00")
                tws.clock.set(now)
                settings = settings_for(folder, tws.port, now)
                reports = collect(settings, SYMBOLS, steps, rules=RULES, lookback_days=6)
                chains.setdefault(day, reports.get("h", next(iter(reports.values()))))
        assert not tws.counters.violations
    with Archive(settings) as archive:
        sessions = archive.calendar.sessions(date(2024, 5, 30), archive.calendar.current(archive.now))
        archive.write(compute_option_greeks(archive, SYMBOLS, sessions))
    return World(settings, chains)


def test_what_was_followed_stays_selected_until_it_expires(world: World) -> None:
    lost = world.rows("""
        with days as (select distinct symbol, session from option_chains)
        select d.symbol, d.session, f.con_id
        from (from option_chains where selected and session = date '2024-06-05') f
        join days d on d.symbol = f.symbol and d.session >= f.session
        anti join (from option_chains where selected) o on o.session = d.session and o.con_id = f.con_id""")
    assert lost == []


def test_strikes_classes_and_multipliers_are_as_adjusted(world: World) -> None:
    found = world.rows("""
        select symbol, trading_class, multiplier, count(distinct con_id) as contracts, min(strike / old) as ratio
        from option_chains join (select con_id, strike as old from option_chains where session = '2024-06-05') b
          using (con_id)
        where session = '2024-06-10' group by all order by all""")
    assert [(row["symbol"], row["trading_class"], row["multiplier"]) for row in found] == [
        ("AAB", "AAB1", 100.0),
        ("ABC", "ABC1", 100.0),
        ("JKL", "JKL1", 150.0),
        ("PQR", "PQR", 100.0),
        ("STU", "STU", 100.0),
    ]
    assert [round(row["ratio"], 2) for row in found] == [1.0, 1.0, 0.67, 0.97, 0.25]
    strikes = world.rows("select distinct strike from option_chains where symbol = 'PQR' and session = '2024-06-10'")
    assert any(round(row["strike"] * 100) % 5 for row in strikes), "odd cents"


def test_each_class_is_selected_around_its_own_price(world: World) -> None:
    far = world.rows("""
        with spots as (select symbol, session, median(underlying_price) as spot from option_chains group by all),
        scales as (from (values ('ABC1', 0.1), ('AAB1', 1 / 0.93), ('JKL1', 1.0)) s(trading_class, scale))
        select symbol, session, trading_class, median(spot) as spot,
               min(strike / (spot * coalesce(scale, 1))) filter (where strike > spot * coalesce(scale, 1)) as above,
               max(strike / (spot * coalesce(scale, 1))) filter (where strike < spot * coalesce(scale, 1)) as below
        from option_chains join spots using (symbol, session) left join scales using (trading_class)
        where selected and session <> '2024-06-06' group by all having not (above < 1.06 and below > 0.94)""")
    assert far == [], "on the day itself the price of the day before counts"
    classes = world.rows("""select symbol, count(distinct trading_class) as classes from option_chains
                            where selected and session = '2024-06-10' group by all order by all""")
    assert [row["classes"] for row in classes] == [2, 2, 2, 1, 1]


def test_everything_is_listed_again_once(world: World) -> None:
    """One listing a symbol: the only expiry. Afterwards a day costs the parameters, the prices and the quotes."""
    listings = {
        day: report.sent
        - sum(
            row["n"]
            for row in world.rows(f"""
            select count(*) as n from option_chains where selected and session = '{day}'""")
        )
        - 2 * len(SYMBOLS)
        for day, report in world.chains.items()
    }
    assert listings == {"2024-06-05": 5, "2024-06-06": 5, "2024-06-07": 0, "2024-06-10": 0}


def test_rules_do_not_accuse_right_data(world: World) -> None:
    report = validate(world.settings, Scope(tuple(SYMBOLS)), record=False)
    wrong = {result.rule.name: result.rows.to_pylist()[:3] for result in report.failing()}
    wrong.pop("near_broker_volatility", None)  # a tick of a contract in the money
    assert wrong == {}
    assert report.result("not_under_intrinsic").examined > 100
    assert report.result("put_call_parity").examined > 10


def test_greeks_are_of_what_is_delivered_or_have_a_reason(world: World) -> None:
    found = world.rows("""
        select trading_class, count(*) filter (where null_reason = 'adjusted_deliverable') as unknown,
               count(*) filter (where implied_volatility is not null) as known,
               median(forward / underlying_price) as scale, max(abs(delta)) as largest
        from option_greeks where session >= '2024-06-06' and source = 'chain' group by all order by all""")
    of = {row["trading_class"]: row for row in found}
    assert of["AAB1"]["known"] == 0 and of["AAB1"]["unknown"] > 8, "two companies: the quotes do not tell the parts"
    assert all(of[name]["unknown"] == 0 and of[name]["known"] > 8 for name in set(of) - {"AAB1"})
    assert of["ABC1"]["scale"] == pytest.approx(0.1, rel=0.01) and of["ABC1"]["largest"] < 0.1
    assert of["JKL1"]["scale"] == pytest.approx(1.0, rel=0.01)
    levels = world.rows("""
        select symbol, avg(implied_volatility) filter (where session <= '2024-06-05') as before,
               avg(implied_volatility) filter (where session > '2024-06-05') as after
        from option_greeks where implied_volatility is not null group by symbol""")
    assert all(row["after"] == pytest.approx(row["before"], rel=0.2) for row in levels), levels


def test_contracts_that_deliver_150_shares_at_a_multiplier_of_100_are_quoted(tmp_path: Path) -> None:
    """A split of 3:2 that leaves strikes and multiplier as they are: the delta of DEF1 reaches 1.5."""
    market = MarketWithAdjustedOptions([CorporateAction("DEF", ACTION, ActionKind.SPIN_OFF, 2 / 3)])
    rules = {"max_days_to_expiry": 10, "strikes_around_spot": 6}
    with Simulator(market, now=datetime.fromisoformat(f"{DAYS[0]}T15:50-04:00")) as tws:
        for day in DAYS[:3]:
            tws.clock.set(datetime.fromisoformat(f"{day}T15:50-04:00"))
            settings = settings_for(tmp_path, tws.port, tws.clock.now())
            reports = collect(settings, ["DEF"], "ch", rules=rules)
            assert [report.problems for report in reports.values()] == [[], []]
    sql = """select trading_class, count(*) filter (abs(delta) > 1.01) as large, max(abs(delta)) as largest
             from option_chains where selected and session >= '2024-06-06' group by all order by all"""
    usual, adjusted = query(settings.data_dir, sql).to_pylist()
    assert (usual["trading_class"], usual["large"]) == ("DEF", 0)
    assert (adjusted["trading_class"], adjusted["large"] > 0, 1.1 < adjusted["largest"] < 1.51) == ("DEF1", True, True)
    assert Quarantine(settings.state_url).entries(closed=True) == []
    report = validate(settings, Scope(("DEF",)), record=False).result("delta_in_range")
    assert (report.passed, report.examined > 20) == (True, True)
    file = settings.data_dir / "option_chains" / "2024-06.parquet"
    rows = pq.read_table(file, partitioning=None)
    of_class = pc.and_(pc.equal(rows["trading_class"], "DEF1"), pc.equal(rows["session"], date(2024, 6, 7)))
    moved = pc.if_else(of_class, pc.multiply(rows["delta"], 1.6), rows["delta"])
    pq.write_table(rows.set_column(rows.column_names.index("delta"), "delta", moved), file)
    wrong = validate(settings, Scope(("DEF",)), record=False).result("delta_in_range").rows.to_pylist()
    assert wrong and {row["local_symbol"][:4] for row in wrong} == {"DEF1"}
    assert min(abs(row["delta"]) for row in wrong) > 1.5, "what the quotes say that it delivers is the bound"
