"""The dividends that the broker expects (tick 456): collected with the underlying's quote, used by greeks."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.option_greeks import compute_option_greeks
from trading_assets.pricing.dividends import broker_dividends
from trading_assets.repositories import query
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.rewriting import Fields, Link, Rewriting, collect, settings_for

NOW = datetime(2024, 6, 3, 19, 30, tzinfo=UTC)
SESSION = date(2024, 6, 3)
TICK_STRING, DIVIDENDS = "46", "59"


def greeks(settings: Settings) -> set[str]:
    """Where the dividends of the computed rows come from."""
    with Archive(settings) as archive:
        archive.write(compute_option_greeks(archive, ["AAPL", "SPX"], [SESSION]))
    sql = "select distinct symbol || ' ' || dividends as said from option_greeks where source = 'chain'"
    return set(query(settings.data_dir, sql)["said"].to_pylist())


def stored(settings: Settings) -> dict[str, list[str | None]]:
    """The distinct texts in the rows of each chain."""
    sql = "select symbol, list(distinct dividends) as said from option_chains group by symbol"
    return {row["symbol"]: row["said"] for row in query(settings.data_dir, sql).to_pylist()}


def test_they_are_stored_with_the_chain_and_priced(tmp_path: Path) -> None:
    with Simulator(GeneratedMarket(), now=NOW) as tws:
        settings = settings_for(tmp_path, tws.port, NOW)
        reports = collect(settings, ["AAPL", "SPX"], steps="ch")
        assert reports["h"].complete
        assert not tws.counters.violations
    said = stored(settings)
    (text,) = said["AAPL"]
    assert text is not None and broker_dividends(text, SESSION), "the generated company pays quarterly"
    assert said["SPX"] == [None], "an index is not asked for them"
    assert greeks(settings) == {"AAPL broker", "SPX none"}
    assert greeks(settings.model_copy(update={"dividends": {"AAPL": ()}})) == {"AAPL broker", "SPX none"}, (
        "no new input"
    )


def test_a_text_that_cannot_be_read_harms_nothing_else(tmp_path: Path) -> None:
    def damage(fields: Fields, _: Link) -> list[Fields] | None:
        return [[*fields[:4], "0.9;?"]] if fields[0] == TICK_STRING and fields[3] == DIVIDENDS else None

    with Simulator(GeneratedMarket(), now=NOW) as tws, Rewriting(tws.port, on_server=damage) as wire:
        settings = settings_for(tmp_path, wire.port, NOW)
        report = collect(settings, ["AAPL"], steps="ch")["h"]
    assert report.complete
    assert [note for note in report.notes if "The broker's dividends '0.9;?' cannot be read" in note]
    assert stored(settings) == {"AAPL": [None]} and greeks(settings) == {"AAPL none"}
