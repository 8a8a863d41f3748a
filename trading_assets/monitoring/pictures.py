"""Pictures of collected data as PNG, drawn without a display.

Matplotlib comes with the extra `pictures`: importing this module raises `ExtraMissing` where it is not installed.
"""

from __future__ import annotations

import io
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from trading_assets.errors import ExtraMissing
from trading_assets.repositories.schemas import PLATFORM

try:
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise ExtraMissing("A picture of data", "Matplotlib", "pictures") from error

_INK = "#1f3a5f"

COLOURS = 32
"""Colours of a picture: its lines, and shades enough for smooth letters."""


def closes_png(bars: pa.Table, symbols: int) -> bytes:
    """Closes over time of the first `symbols` symbols of `equity_bars` rows; one bar size (that of the first row)."""
    frame = (
        bars.filter(pc.equal(bars["bar_size"], bars["bar_size"][0])).select(["symbol", "start", "close"]).to_pandas()
    )
    figure = Figure(figsize=(6.4, 2.6), dpi=80)
    axes = figure.add_axes((0.12, 0.13, 0.86, 0.75))
    for symbol in sorted(frame["symbol"].unique())[:symbols]:
        rows = frame[frame["symbol"] == symbol].sort_values("start")
        axes.plot(rows["start"], rows["close"], linewidth=1.1, label=symbol, marker=_marker(len(rows)), markersize=4)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    axes.set_title(f"Closes of {bars['bar_size'][0]} bars", loc="left", fontsize=9)
    axes.tick_params(labelsize=8)
    return _png(figure, axes, "close, dollars", tight=False)


def price_path_png(bars: pd.DataFrame, title: str) -> bytes:
    """High-low range and close of one symbol's daily bars (columns `session`, `high`, `low`, `close`), volume below."""
    figure = Figure(figsize=(9, 4.8), dpi=110)
    price, volume = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    days = pd.to_datetime(bars["session"])
    price.fill_between(days, bars["low"], bars["high"], color=_INK, alpha=0.18, linewidth=0, label="low to high")
    price.plot(days, bars["close"], color=_INK, linewidth=1.3, label="close", marker=_marker(len(bars)), markersize=4)
    price.legend(loc="upper left", frameon=False)
    price.set_title(title, loc="left")
    price.set_ylabel("dollars")
    volume.bar(days, bars["volume"] / 1e6, color=_INK, alpha=0.6, width=0.9)
    return _png(figure, volume, "million shares", extra=[price])


def smile_png(chain: pd.DataFrame, title: str) -> bytes:
    """Implied volatility over strike for up to four later expiries.

    Columns: `session`, `expiry`, `strike`, `right`, `implied_volatility`, `underlying_price`.
    """
    figure = Figure(figsize=(9, 4.8), dpi=110)
    axes = figure.subplots()
    known = chain.dropna(subset=["implied_volatility"])
    known = known[known["expiry"] > known["session"]]
    expiries: list[date] = sorted(known["expiry"].unique())
    picked = expiries if len(expiries) <= 4 else [expiries[round(i * (len(expiries) - 1) / 3)] for i in range(4)]
    for shade, expiry in enumerate(picked):
        colour = colormaps["viridis"](0.9 * shade / max(1, len(picked) - 1))
        for right, marker, style in (("C", "o", "-"), ("P", "v", ":")):
            rows = known[(known["expiry"] == expiry) & (known["right"] == right)].sort_values("strike")
            label = f"{expiry} {'calls' if right == 'C' else 'puts'}"
            axes.plot(
                rows["strike"],
                rows["implied_volatility"] * 100,
                style,
                marker=marker,
                markersize=4,
                color=colour,
                linewidth=1.2,
                label=label,
            )
    if not known.empty:
        axes.axvline(float(known["underlying_price"].iloc[0]), color="grey", linewidth=0.8, linestyle="--")
    axes.legend(frameon=False, fontsize=8, ncols=2)
    axes.set_title(title, loc="left")
    axes.set_xlabel("strike, dollars (dashed: the underlying)")
    return _png(figure, axes, "implied volatility, % a year")


def metrics_png(table: pa.Table) -> bytes:
    """Coverage and broken rules over time, from `quality_metrics` rows of one symbol (or of `*`): a line a dataset."""
    frame = table.select(["measured_at", "metric", "about", "value"]).to_pandas().sort_values("measured_at")
    figure = Figure(figsize=(9, 4.8), dpi=110)
    share, failing = figure.subplots(2, 1, sharex=True)
    datasets = sorted(set(frame["about"]) - {PLATFORM})
    for number, dataset in enumerate(datasets):
        colour = colormaps["viridis"](0.9 * number / max(1, len(datasets) - 1))
        of_dataset = frame[frame["about"] == dataset]
        complete = of_dataset[of_dataset["metric"] == "coverage_complete"]
        line = {"marker": "o", "markersize": 3, "linewidth": 1.2, "color": colour}
        share.plot(complete["measured_at"], complete["value"] * 100, label=dataset, **line)
        errors = of_dataset[of_dataset["metric"] == "rows_failing_error"]
        failing.plot(errors["measured_at"], errors["value"], **line)
    if datasets:
        share.legend(loc="lower left", frameon=False, fontsize=8, ncols=2)
    share.set_title("Quality of the archive", loc="left")
    share.set_ylabel("complete sessions, %")
    return _png(figure, failing, "rows breaking ERROR rules", extra=[share])


def _marker(points: int) -> str:
    """A line of one point has no length: the point is drawn."""
    return "o" if points == 1 else ""


def _png(figure: Figure, axes: object, label: str, extra: list[object] | None = None, *, tight: bool = True) -> bytes:
    """`tight`: the axes are made as large as their labels leave room, for which all is laid out once more."""
    axes.set_ylabel(label)  # type: ignore[attr-defined]
    for each in [axes, *(extra or [])]:
        each.spines[["top", "right"]].set_visible(False)  # type: ignore[attr-defined]
        each.grid(alpha=0.25, linewidth=0.5)  # type: ignore[attr-defined]
    figure.autofmt_xdate() if extra else None
    if tight:
        figure.tight_layout()
    return png_of(figure)


def png_of(figure: Figure) -> bytes:
    """The figure as a PNG of few colours: a quarter of the bytes, which Dagster keeps three times with each
    materialization."""
    canvas, small = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()  # `savefig` would draw twice, and write a PNG of all colours that is read again
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    drawn.quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()
