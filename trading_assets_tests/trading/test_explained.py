"""Profit and loss between two looks, by the greeks of the first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from trading_assets.errors import InvalidRequest
from trading_assets.pricing import american
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import POSITION_SNAPSHOTS
from trading_assets.trading.explained import PARTS, explained_frame, explained_totals
from trading_assets_tests.trading.test_changes import option, shares

FIRST = datetime(2024, 1, 3, 20, 45, tzinfo=UTC)
SECOND, THIRD = FIRST + timedelta(days=1), FIRST + timedelta(days=2)


def priced(at: datetime, spot: float, volatility: float, **changes: Any) -> dict[str, Any]:
    """A row of a call of 65 that expires on 2024-02-16."""
    years = (datetime(2024, 2, 16, 21, tzinfo=UTC) - at).total_seconds() / (86_400 * 365)
    greeks = american.greeks(spot, 65.0, years, volatility, "C", 0.04)
    values = {name: float(getattr(greeks, name)) for name in ("delta", "gamma", "vega", "theta", "rho")}
    row = option(-3, expiry=datetime(2024, 2, 16).date(), underlying_price=spot, implied_volatility=volatility)
    return looked(row | {"mark": float(greeks.price), **values} | changes, at)


def looked(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    nothing = {column.name: None for column in POSITION_SNAPSHOTS.columns}
    fixed = {"at": at, "session": at.date(), "mark_age": 0.0, "collected_at": at, "request_id": 0}
    return nothing | row | fixed


def stock(at: datetime, quantity: float, price: float) -> dict[str, Any]:
    still = {"delta": 1.0, "gamma": 0.0, "vega": 0.0, "theta": 0.0}
    return looked(shares(quantity, mark=price, **still) | {"underlying_price": price}, at)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    other = {"account": "U7654321", "con_id": 9}
    rows = [
        priced(FIRST, 68.0, 0.25),
        stock(FIRST, 100, 68.0),
        stock(FIRST, 10, 5.0) | other,
        priced(SECOND, 69.0, 0.26),
        stock(SECOND, 150, 69.0),
        priced(THIRD, 69.0, 0.26, mark=None, implied_volatility=None),
    ]
    ParquetStore(folder).upsert(POSITION_SNAPSHOTS, pa.Table.from_pylist(rows, schema=POSITION_SNAPSHOTS.schema))
    return folder


def test_the_greeks_explain_what_the_position_made(lake: Path) -> None:
    frame = explained_frame(lake, last=SECOND)
    assert frame["account"].unique().tolist() == ["U1234567"], "an account with one look has nothing to compare"
    held, written = (frame[frame["con_id"] == con_id].iloc[0] for con_id in (1, 2))
    assert (held["pnl"], held["delta"], held["residual"]) == (100.0, 100.0, 0.0), "of the 100 held before"
    assert (held["quantity"], held["quantity_after"], held["null_reason"]) == (100, 150, None)
    first, second = (priced(*each) for each in ((FIRST, 68.0, 0.25), (SECOND, 69.0, 0.26)))
    assert written["pnl"] == pytest.approx(-300 * (second["mark"] - first["mark"]))
    assert written["delta"] == pytest.approx(-300 * first["delta"])
    assert written["gamma"] == pytest.approx(-150 * first["gamma"])
    assert written["vega"] == pytest.approx(-300 * first["vega"])
    assert written["theta"] == pytest.approx(-300 * first["theta"])
    assert written["residual"] == pytest.approx(written["pnl"] - sum(written[part] for part in PARTS))
    assert abs(written["residual"]) < 0.02 * abs(written["pnl"])


def test_what_cannot_be_said_is_null_with_its_reason(lake: Path) -> None:
    frame = explained_frame(lake)
    assert dict(zip(frame["con_id"], frame["null_reason"], strict=True)) == {1: "gone", 2: "not_valued"}
    assert frame[["pnl", *PARTS, "residual"]].isna().all().all()
    (sums,) = explained_totals(frame).to_dict("records")
    assert (sums["positions"], sums["lacking"]) == (2, 2) and sums["pnl"] != sums["pnl"]


def test_looks_are_chosen_by_instant(lake: Path) -> None:
    frame = explained_frame(lake, first=FIRST + timedelta(hours=2), last=THIRD)
    assert set(frame["since"]) == {FIRST} and set(frame["at"]) == {THIRD}
    assert explained_frame(lake, last=FIRST).empty and len(explained_frame(lake, account="U1234567")) == 2
    with pytest.raises(InvalidRequest, match="time zone"):
        explained_frame(lake, first=datetime(2024, 1, 1))
    with pytest.raises(
        InvalidRequest, match=r"^No stored look has the account U1\*\*\*890\. The looks are at U1\*\*\*567, U7"
    ):
        explained_frame(lake, account="U1234890")
