"""The rewriting proxy itself: what no hook changes arrives unchanged, what one changes arrives changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.rewriting import Fields, Link, Rewriting, collect, rows, settings_for

NOW = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)

CLOSES = "SELECT session, close FROM equity_bars ORDER BY session"


def test_collecting_through_the_proxy(tmp_path: Path) -> None:
    with Simulator(GeneratedMarket(seed=42), now=NOW) as tws, Rewriting(tws.port) as wire:
        settings = settings_for(tmp_path, wire.port, NOW)
        reports = collect(settings, ["AAPL"])
    assert all(report.complete for report in reports.values())
    assert reports["o"].rows > 0
    assert len(wire.asked(9)) == tws.counters.requests["contract_details"]


def test_a_hook_changes_what_arrives(tmp_path: Path) -> None:
    def doubled(fields: Fields, _link: Link) -> list[Fields] | None:
        if fields[0] != "17":
            return None
        return [
            [
                *fields[:5],
                *(
                    f"{2 * float(field):g}" if place % 8 in range(1, 5) else field
                    for place, field in enumerate(fields[5:])
                ),
            ]
        ]

    with (
        Simulator(GeneratedMarket(seed=42), now=NOW) as tws,
        Rewriting(tws.port) as plain,
        Rewriting(tws.port, on_server=doubled) as wire,
    ):
        straight, changed = settings_for(tmp_path / "a", plain.port, NOW), settings_for(tmp_path / "b", wire.port, NOW)
        collect(straight, ["AAPL"], steps="ce")
        collect(changed, ["AAPL"], steps="ce")
    pairs = list(zip(rows(straight, CLOSES), rows(changed, CLOSES), strict=True))
    assert len(pairs) >= 5
    assert all(abs(twice["close"] - 2 * once["close"]) < 0.01 for once, twice in pairs)
