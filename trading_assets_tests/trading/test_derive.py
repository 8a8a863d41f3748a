"""Changes out of the looks in the lake: which looks are compared, and that computing them again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.schemas import EQUITY_BARS, POSITION_CHANGES, POSITION_SNAPSHOTS
from trading_assets.sessions import calendar
from trading_assets.trading.derive import changes_of_sessions, newest_changes
from trading_assets.trading.snapshots import snapshot_rows
from trading_assets.trading.valuing import PositionGreeks
from trading_assets_tests.repositories.frames import bar, table
from trading_assets_tests.trading.test_live_marks import AAPL_CALL, AAPL_SHARES, NOW

HOUR = timedelta(hours=1)
SESSION = date(2024, 1, 2)


def looked(lake: Path, hour: int, held: Mapping[str, Sequence[float]], session: date = SESSION) -> None:
    """A look at these accounts, holding so many shares and calls each."""
    at = NOW + hour * HOUR
    valued = [
        PositionGreeks(replace(position, account=account, quantity=float(quantity)))
        for account, quantities in held.items()
        for position, quantity in zip((AAPL_SHARES, AAPL_CALL), quantities, strict=False)
        if quantity
    ]
    ParquetStore(lake).upsert(POSITION_SNAPSHOTS, snapshot_rows(list(held), valued, at=at, session=session))


def changes(lake: Path, pairs: int = 2) -> list[tuple[str, int, str]]:
    found = newest_changes(lake, calendar(), pairs)
    ParquetStore(lake).upsert(POSITION_CHANGES, found)
    return [
        (row["account"], round((row["at"] - NOW) / HOUR), row["change"])
        for row in sorted(found.to_pylist(), key=lambda row: (row["at"], row["account"], row["con_id"]))
    ]


def test_a_first_look_is_compared_with_nothing(tmp_path: Path) -> None:
    looked(tmp_path, 0, {"U1": [100, 1], "U2": []})
    assert changes(tmp_path) == []
    looked(tmp_path, 1, {"U1": [100, 1], "U2": [5]})
    assert changes(tmp_path) == [("U2", 1, "opened")], "U2 was looked at before and held nothing"


def test_an_account_that_another_login_manages_is_not_sold(tmp_path: Path) -> None:
    looked(tmp_path, 0, {"U1": [100], "U2": [7]})
    looked(tmp_path, 1, {"U1": [100]})
    assert changes(tmp_path) == []
    looked(tmp_path, 2, {"U2": [9]})
    assert changes(tmp_path) == [("U2", 2, "changed")], "against its own look before"


def test_a_look_whose_changes_were_not_written_gets_them_with_the_next(tmp_path: Path) -> None:
    looked(tmp_path, 0, {"U1": [100]})
    looked(tmp_path, 1, {"U1": [150]})  # killed here
    looked(tmp_path, 2, {"U1": []})
    assert changes(tmp_path) == [("U1", 1, "changed"), ("U1", 2, "closed")]
    assert ParquetStore(tmp_path).upsert(POSITION_CHANGES, newest_changes(tmp_path, calendar())).unchanged == 2
    assert query(tmp_path, "select count(*) as n from revisions_position_changes")["n"][0].as_py() == 0


def test_a_close_that_comes_later_says_more(tmp_path: Path) -> None:
    looked(tmp_path, 0, {"U1": [0, -1]})
    friday, days = date(2024, 1, 5), 24 * 4
    looked(tmp_path, days, {"U1": []}, friday)
    assert changes(tmp_path) == [("U1", days, "expired")], "the price at the settlement is not known"
    prices = {"symbol": "AAPL", "open": 75.0, "high": 76.0, "low": 74.0, "close": 75.0}
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(friday) | prices]))
    found = changes_of_sessions(tmp_path, calendar(), [friday])
    assert (
        found["change"].to_pylist() == ["unexplained"]
        and changes_of_sessions(tmp_path, calendar(), [SESSION]).num_rows == 0
    )
    assert ParquetStore(tmp_path).upsert(POSITION_CHANGES, found).updated == 1
