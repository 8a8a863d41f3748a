"""The recorded cases are found, the clean days are not accused."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from trading_assets.errors import InvalidFrame
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, Dataset
from trading_assets.settings import Settings
from trading_assets.validation import RULES, ValidationReport, validate
from trading_assets_tests.validation.recorded_lake import RecordedLake, holiday_copy

SPX = "option_chain_quotes_spx_2019"
TECH = "option_chain_quotes_tech_2013"


@pytest.fixture(scope="module")
def recorded(recorded_market: Path) -> RecordedLake:
    return RecordedLake(recorded_market)


def looked_at(
    folder: Path, *tables: tuple[Dataset, pa.Table], rules: Collection[str] = (), now: str = "2021-12-31T22:00+00:00"
) -> ValidationReport:
    settings = Settings(data_dir=RecordedLake.fill(folder, *tables), now=datetime.fromisoformat(now).astimezone(UTC))
    return validate(
        settings, rules=[rule for rule in RULES if not rules or rule.name in rules or rule.dataset in rules]
    )


def failing(report: ValidationReport) -> dict[str, list[str]]:
    """Sessions of the violations shown, by rule."""
    return {result.rule.name: [str(day) for day in result.rows["session"].to_pylist()] for result in report.failing()}


def test_the_spx_chains_lack_two_sessions_and_nothing_else_is_wrong_with_them(
    tmp_path: Path, recorded: RecordedLake
) -> None:
    report = looked_at(
        tmp_path, (OPTION_CHAINS, recorded.chains(SPX)), rules=["option_chains"], now="2019-05-31T20:00+00:00"
    )
    assert failing(report) == {"chain_each_session": ["2019-05-10", "2019-05-17"]}
    assert report.result("bid_not_above_ask").examined > 300_000


def test_the_holiday_copy_is_refused_under_its_own_date_and_found_under_the_next_session(
    tmp_path: Path, recorded: RecordedLake
) -> None:
    chains = holiday_copy(recorded)
    of_holiday = pa.Table.from_pylist(
        [{**chains.slice(0, 1).to_pylist()[0], "session": date(2019, 5, 27)}], schema=OPTION_CHAINS.schema
    )
    with pytest.raises(InvalidFrame, match="not a trading day"):
        RecordedLake.fill(tmp_path, (OPTION_CHAINS, of_holiday))
    report = looked_at(tmp_path, (OPTION_CHAINS, chains), rules=["not_a_copy"], now="2019-05-31T20:00+00:00")
    (row,) = report.result("not_a_copy").rows.to_pylist()
    assert (row["session"], row["previous"]) == (date(2019, 5, 28), date(2019, 5, 24))


def test_the_chains_of_2013_are_only_weekly(tmp_path: Path, recorded: RecordedLake) -> None:
    report = looked_at(
        tmp_path, (OPTION_CHAINS, recorded.chains(TECH)), rules=["option_chains"], now="2013-06-24T20:00+00:00"
    )
    # Two strikes of IBM are in the file of 06-10 and not in that of 06-17: the source does not say why.
    assert set(failing(report)) == {"chain_each_session", "listing_diff_explained"}
    assert report.result("listing_diff_explained").symbols == ("IBM",)


def test_unadjusted_bars_show_every_split_and_no_crash_is_taken_for_one(tmp_path: Path, recorded: RecordedLake) -> None:
    report = looked_at(tmp_path, (EQUITY_BARS, recorded.equity_daily()), rules=["equity_bars"])
    assert sorted(
        (row["symbol"], str(row["session"])) for row in report.result("split_suspicion").rows.to_pylist()
    ) == [
        *[("AAPL", day) for day in ("2000-06-21", "2005-02-28", "2014-06-09", "2020-08-31")],
        *[("AIG", day) for day in ("1998-08-03", "2000-07-31", "2009-07-01")],
        ("BAC", "2004-08-30"),
        ("GOOG", "2014-04-03"),
        ("IBM", "1999-05-27"),
    ]
    assert set(failing(report)) == {"split_suspicion", "spike"}
    held = report.result("spike")
    assert held.failed < held.examined * 0.003


def test_a_half_day_ends_at_13_hours(tmp_path: Path, recorded: RecordedLake) -> None:
    minutes = recorded.equity_intraday("equity_bars_minute", "1 min")
    daily = recorded.equity_daily(["GOOG"], date(2015, 12, 23), date(2015, 12, 28))
    report = looked_at(
        tmp_path,
        (EQUITY_BARS, daily),
        (EQUITY_BARS, minutes),
        rules=["bar_inside_session", "daily_agrees_with_intraday"],
    )
    assert failing(report) == {}
    assert report.result("daily_agrees_with_intraday").examined == 3


def test_option_bars_are_clean(tmp_path: Path, recorded: RecordedLake) -> None:
    bars = recorded.option_daily()
    tables = (
        (EQUITY_BARS, recorded.equity_daily(["AAPL", "GOOG"])),
        (OPTION_CHAINS, recorded.listed(bars)),
        (OPTION_BARS, bars),
    )
    wanted = {rule.name for rule in RULES if rule.dataset == "option_bars"} - {
        "prerequisites_held",
        "complete_to_last_day",
    }
    report = looked_at(tmp_path, *tables, rules=wanted)
    assert failing(report) == {}
    assert report.result("put_call_parity").examined > 200
