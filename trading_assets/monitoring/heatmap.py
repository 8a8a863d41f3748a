"""The picture of coverage: a heat map of sessions and symbols, one colour a condition, drawn without a display."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from trading_assets.monitoring.pictures import png_of

COLOURS = {
    "complete": "#2f7d4f",
    "no_trades": "#a5cfa9",
    "nothing_selected": "#d3e8d5",
    "partial": "#e3c345",
    "pending": "#7aa6d6",
    "error": "#d1495b",
    "not_permitted": "#9d6ba8",
    "no_contract": "#b8b8b8",
    "expired_lost": "#3b3b3b",
}
"""Green is there, blue is still available, red needs attention, dark is lost."""

NOTHING_WANTED = "#ffffff"

MOST_ROWS = 120
"""Lines of the picture at most: more cannot be told apart."""

TICKS = 10
"""Dates on the axis."""

LETTERS = 8
"""Points of the labels: those of a line fit into its height."""

ROW_INCHES, LEAST_INCHES, MOST_INCHES = 0.17, 1.6, 21.0
"""Height of a line, and bounds of the picture's body."""


def coverage_png(table: pa.Table) -> bytes:
    """A PNG of the conditions in `table` (columns `dataset, bar_size, symbol, session, condition`): a line for each
    dataset and symbol, a column for each session. White is a session in which nothing was wanted."""
    names = list(COLOURS)
    sessions = pc.unique(table["session"]).sort()
    lines = (
        table.group_by(["dataset", "bar_size", "symbol"])
        .aggregate([])
        .sort_by([(n, "ascending") for n in ("dataset", "bar_size", "symbol")])
    )
    labels = [" ".join(filter(None, (r["symbol"], r["dataset"], r["bar_size"]))) for r in lines.to_pylist()]
    figure = Figure(
        figsize=(9.0, min(MOST_INCHES, max(LEAST_INCHES, ROW_INCHES * min(len(labels), MOST_ROWS))) + 0.9), dpi=90
    )
    axes = figure.subplots()
    if labels:
        keys = ["dataset", "bar_size", "symbol"]
        numbered = lines.append_column("line", pa.array(np.arange(len(labels))))
        joined = table.select([*keys, "session", "condition"]).join(numbered, keys)
        cells = np.full((len(labels), len(sessions)), len(names))
        rows = joined["line"].to_numpy()
        columns = pc.index_in(joined["session"], sessions).to_numpy()
        cells[rows, columns] = pc.fill_null(pc.index_in(joined["condition"], pa.array(names)), len(names)).to_numpy()
        colours = ListedColormap([*COLOURS.values(), NOTHING_WANTED])
        norm = BoundaryNorm(np.arange(len(names) + 2) - 0.5, len(names) + 1)
        axes.imshow(cells[:MOST_ROWS], aspect="auto", interpolation="nearest", cmap=colours, norm=norm)
        step = max(1, -(-len(sessions) // TICKS))
        days = sessions.to_pylist()
        axes.set_xticks(range(0, len(sessions), step), [str(day) for day in days[::step]], fontsize=LETTERS)
        axes.set_yticks(range(min(len(labels), MOST_ROWS)), labels[:MOST_ROWS], fontsize=LETTERS)
        shown_lines = f", the first {MOST_ROWS} of {len(labels)} lines" if len(labels) > MOST_ROWS else ""
        axes.set_title(f"Coverage from {days[0]} to {days[-1]}{shown_lines}", fontsize=LETTERS + 1, loc="left")
        shown = [name for name in names if (cells == names.index(name)).any()]
    else:
        axes.text(0.5, 0.5, "Nothing is recorded.", ha="center", va="center")
        axes.set_axis_off()
        shown = []
    handles = [Patch(color=COLOURS[name], label=name) for name in shown]
    if handles:
        figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    return png_of(figure)
