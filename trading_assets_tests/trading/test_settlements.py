"""Assignment and expiry at a simulated TWS, in two accounts, as the looks see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trading_assets.repositories import query
from trading_assets.settings import Settings
from trading_assets.trading import PositionManager
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of
from trading_assets_tests.trading.desk import CALL, FIRST, PUT, SECOND, SHARES, desk

AFTER_EXPIRY = datetime(2024, 1, 5, 21, 30, tzinfo=UTC)
CALL_NAME, PUT_NAME = "AAPL  240105C00068000", "AAPL  240105P00068000"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three looks: before, after an early assignment of one of two calls, and after the expiry of all options."""
    folder = copy_of(PLAIN, tmp_path_factory.mktemp("settled") / "lake")
    positions = {
        FIRST: [(SHARES, 300, 60.0), (CALL, -2, 80.0), (PUT, -1, 53.0)],
        SECOND: [(CALL, 1, 79.0), (PUT, 1, 53.0)],
    }
    with desk(folder, positions) as (settings, tws):
        for at, happens in (
            (PLAIN_NOW, lambda: None),
            (PLAIN_NOW + timedelta(minutes=1), lambda: tws.positions.assign(CALL_NAME, 1, account=FIRST)),
            (AFTER_EXPIRY, lambda: tws.clock.set(AFTER_EXPIRY)),
        ):
            happens()
            with PositionManager(Settings(data_dir=folder, ib_port=settings.ib_port, now=at)) as manager:
                manager.snapshot()
    return folder


def changes(lake: Path, at: datetime) -> dict[tuple[str, int], tuple[str, float, float]]:
    sql = 'select * from position_changes where "at" = ?'
    return {
        (row["account"], row["con_id"]): (row["change"], row["quantity_before"], row["quantity_after"])
        for row in query(lake, sql, [at.astimezone(UTC)]).to_pylist()
    }


def test_an_early_assignment(lake: Path) -> None:
    assert changes(lake, PLAIN_NOW) == {}
    assert changes(lake, PLAIN_NOW + timedelta(minutes=1)) == {
        (FIRST, CALL): ("assigned_or_exercised", -2, -1),
        (FIRST, SHARES): ("changed", 300, 200),
    }


def test_what_ended_in_the_money_delivered_and_the_rest_expired(lake: Path) -> None:
    found = changes(lake, AFTER_EXPIRY)
    up = found[FIRST, CALL][0] == "assigned_or_exercised"
    delivered, worthless = (CALL, PUT) if up else (PUT, CALL)
    for account, sign in ((FIRST, -1), (SECOND, 1)):
        assert found[account, delivered] == ("assigned_or_exercised", sign, 0)
        assert found[account, worthless] == ("expired", sign, 0)
    moved = 100 if up else -100
    assert found[FIRST, SHARES] == ("changed", 200, 200 - moved)
    assert found[SECOND, SHARES] == ("opened", 0, moved)
    assert len(found) == 6
