"""Pictures in the metadata of a materialization; a sentence in their place where Matplotlib is not installed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import dagster as dg

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected
from trading_assets.errors import ExtraMissing
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_GREEKS
from trading_assets.resources.completeness import judged_symbols

SYMBOLS_DRAWN = 6
"""Lines in the picture: more than these cannot be told apart."""

SESSIONS_DRAWN = 2000
"""Sessions of the pictures at most, the newest: eight years, more columns than a picture has pixels."""


def shown(draw: Callable[[], bytes], name: str) -> dg.MetadataValue[Any]:
    """The PNG that `draw` gives. Matplotlib, which it may load, is no part of every installation: what was collected is
    not failed for want of a picture."""
    try:
        png = draw()
    except ExtraMissing as missing:
        return dg.MetadataValue.text(str(missing))
    return dg.MetadataValue.md(f"![{name}](data:image/png;base64,{base64.b64encode(png).decode()})")


def pictures(archive: Archive, collected: Collected) -> dict[str, Any]:
    """The heat map of what the archive has and lacks, and of equity bars the closes, of its newest sessions; of
    computed volatilities, which have no coverage, those of the newest chains."""
    symbols = judged_symbols(archive, collected.report)
    if collected.dataset is OPTION_GREEKS:
        return _volatility(archive, symbols)
    found: dict[str, Any] = {"coverage": shown(lambda: _coverage(archive, collected, symbols), "coverage")}
    if collected.dataset.name == EQUITY_BARS.name:
        found["picture"] = shown(lambda: _closes(archive, collected, symbols), "closes")
    return found


def _volatility(archive: Archive, symbols: list[str]) -> dict[str, Any]:
    from trading_assets.monitoring.volatility_picture import volatility_png

    try:
        png = volatility_png(archive.lake, symbols)
    except ExtraMissing as missing:
        return {"volatility": dg.MetadataValue.text(str(missing))}
    return {} if png is None else {"volatility": shown(lambda: png, "volatility")}


def _coverage(archive: Archive, collected: Collected, symbols: list[str]) -> bytes:
    from trading_assets.monitoring.heatmap import MOST_ROWS, coverage_png

    first, last = _drawn(archive)
    table = archive.lake.conditions(symbols[:MOST_ROWS], datasets=[collected.dataset.name], first=first, last=last)
    return coverage_png(table)


def _closes(archive: Archive, collected: Collected, symbols: list[str]) -> bytes:
    from trading_assets.monitoring.pictures import closes_png

    sql = """select symbol, bar_size, max(start) as start, arg_max(close, start) as close from equity_bars
             where session between $first and $last and bar_size = $size
               and symbol in (select unnest($symbols::varchar[]))
             group by symbol, bar_size, session"""
    first, last = _drawn(archive)
    values = {
        "first": first,
        "last": last,
        "size": collected.table["bar_size"][0].as_py(),
        "symbols": symbols[:SYMBOLS_DRAWN],
    }
    return closes_png(archive.lake.query(sql, values), SYMBOLS_DRAWN)


def _drawn(archive: Archive) -> tuple[Any, Any]:
    """The first and the last session of the pictures."""
    last = archive.calendar.current(archive.now)
    return archive.calendar.previous(last, SESSIONS_DRAWN), last
