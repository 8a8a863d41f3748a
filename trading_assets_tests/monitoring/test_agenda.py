"""What the agenda says of small lakes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from trading_assets.monitoring.agenda import WantedRun, daily_bars
from trading_assets.monitoring.skips import Skip
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, OPTION_CHAINS
from trading_assets_tests.monitoring.test_gaps import DAYS, EVENING, Lake, selected
from trading_assets_tests.repositories.frames import bar, covered


def test_bars_are_due_while_one_contract_may_be_asked_for_and_another_waits(tmp_path: Path) -> None:
    lake, day = Lake(tmp_path), DAYS[4]
    lake.set_up("AAPL")
    lake.put(EQUITY_BARS, bar(day))
    lake.put(OPTION_CHAINS, selected(day, 1), selected(day, 2))
    lake.put(COVERAGE, covered(day), covered(day, dataset="option_chains", bar_size=""))
    refused = {"dataset": "option_bars", "bar_size": "8 hours", "retry_after": EVENING + timedelta(hours=9)}
    lake.put(COVERAGE, covered(day, "not_permitted", con_id=1, **refused))
    assert isinstance(daily_bars(lake.settings, EVENING), WantedRun)
    lake.put(COVERAGE, covered(day, "not_permitted", con_id=2, **refused))
    assert isinstance(daily_bars(lake.settings, EVENING), Skip)
