"""When the day's look at the positions is due, and what is said of changes that nothing explains."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from trading_assets.monitoring.agenda import WantedRun, daily_positions
from trading_assets.monitoring.data_issues import positions_unexplained
from trading_assets.monitoring.skips import Skip
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import POSITION_CHANGES, POSITION_SNAPSHOTS
from trading_assets.settings import Settings
from trading_assets.trading.snapshots import snapshot_rows
from trading_assets.universe import Universe

SESSION = date(2024, 1, 3)
DUE = datetime(2024, 1, 3, 20, 55, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(data_dir=tmp_path, now=DUE)
    Universe(found.state_url).add(["AAPL"])
    return found


def looked(settings: Settings, at: datetime) -> None:
    ParquetStore(settings.data_dir).upsert(POSITION_SNAPSHOTS, snapshot_rows(["U1"], [], at=at, session=SESSION))


def said(settings: Settings, now: datetime) -> str:
    found = daily_positions(settings, now)
    assert isinstance(found, Skip)
    return found.reason


def test_the_look_is_due_five_minutes_before_the_close(settings: Settings) -> None:
    assert "of session 2024-01-03 comes at 15:55 New York" in said(settings, DUE - timedelta(minutes=1))
    run = daily_positions(settings, DUE)
    assert isinstance(run, WantedRun)
    assert (run.job, run.first, run.last) == ("positions", SESSION, SESSION) and run.urgent
    late = daily_positions(settings, DUE + timedelta(hours=3))
    assert isinstance(late, WantedRun) and late.key == run.key
    moved = settings.model_copy(update={"positions_lead_minutes": 30})
    assert isinstance(daily_positions(moved, DUE - timedelta(minutes=20)), WantedRun)


def test_a_look_after_that_time_is_enough(settings: Settings) -> None:
    looked(settings, DUE - timedelta(hours=2))
    assert isinstance(daily_positions(settings, DUE), WantedRun), "the one of noon is not the day's"
    looked(settings, DUE + timedelta(minutes=2))
    assert said(settings, DUE + timedelta(minutes=4)).endswith("were looked at 2024-01-03 15:57 New York.")


def test_without_symbols_nothing_is_looked_at(tmp_path: Path) -> None:
    assert "universe is empty" in said(Settings(data_dir=tmp_path, now=DUE), DUE)


def change(at: datetime, symbol: str = "AAPL", kind: str = "unexplained", con_id: int = 1) -> dict[str, Any]:
    nothing = {column.name: None for column in POSITION_CHANGES.columns}
    texts = {
        "local_symbol": f"{symbol}  240105C00068000",
        "trading_class": symbol,
        "sec_type": "OPT",
        "currency": "USD",
    }
    fixed = {"session": SESSION, "at": at, "since": at - timedelta(days=1), "collected_at": at, "request_id": 0}
    numbers = {"quantity_before": 1.0, "quantity_after": 0.0, "con_id": con_id, "account": "U1234567"}
    return nothing | texts | fixed | numbers | {"symbol": symbol, "change": kind, "reason": "It ended in the money."}


def test_changes_that_nothing_explains_are_reported_for_three_days(settings: Settings) -> None:
    rows = [
        change(DUE),
        change(DUE, con_id=2),
        change(DUE, "SPY", "expired", 3),
        change(DUE - timedelta(days=4), "IBM"),
    ]
    ParquetStore(settings.data_dir).upsert(POSITION_CHANGES, pa.Table.from_pylist(rows, schema=POSITION_CHANGES.schema))
    (issue,) = positions_unexplained(settings, DUE + timedelta(hours=1))
    assert issue.key == ("position_unexplained", "AAPL")
    assert issue.reason.startswith("2 changes of positions in AAPL; the newest at 2024-01-03 20:55 UTC")
    assert "U1234567" not in str(issue.as_dict())
    assert positions_unexplained(settings, DUE + timedelta(days=3, minutes=1)) == []
    assert positions_unexplained(Settings(data_dir=settings.data_dir / "none"), DUE) == []
