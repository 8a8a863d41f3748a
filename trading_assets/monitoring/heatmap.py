"""The picture of coverage: a heat map of sessions and symbols, one colour a condition, drawn without a display.

Drawn pixel by pixel and not by Matplotlib, which takes twenty times as long: every run that writes several sessions
draws one.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image, ImageDraw, ImageFont

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

WIDTH, LETTERS, MARGIN = 810, 11, 8
"""Pixels of the picture, of its letters, and around what is drawn."""

ROW, LEAST, MOST = 15, 144, 1890
"""Pixels of a line, and bounds of the height of all lines."""

ABOVE, BELOW = 26, 46
"""Pixels for the title, and for dates and legend."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PALETTE = 32
"""Colours of the file: those of the conditions, and shades enough for smooth letters."""


def coverage_png(table: pa.Table) -> bytes:
    """A PNG of the conditions in `table` (columns `dataset, bar_size, symbol, session, condition`): a line for each
    dataset and symbol, a column for each session. White is a session in which nothing was wanted."""
    labels, cells = _cells(table)
    shown = labels[:MOST_ROWS]
    height = min(MOST, max(LEAST, ROW * len(shown)))
    picture = Image.new("RGB", (WIDTH, ABOVE + height + BELOW), NOTHING_WANTED)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(LETTERS)
    if not labels:
        pen.text((WIDTH / 2, ABOVE + height / 2), "Nothing is recorded.", "black", font, "mm")
        return _png(picture)
    days = pc.unique(table["session"]).sort().to_pylist()
    left = 2 * MARGIN + round(max(font.getlength(label) for label in shown))
    width = WIDTH - MARGIN - left
    picture.paste(_coloured(cells[:MOST_ROWS]).resize((width, height), Image.Resampling.NEAREST), (left, ABOVE))
    pen.rectangle((left - 1, ABOVE - 1, left + width, ABOVE + height), outline="black")
    of_all = f", the first {MOST_ROWS} of {len(labels)} lines" if len(labels) > MOST_ROWS else ""
    pen.text((left, MARGIN), f"Coverage from {days[0]} to {days[-1]}{of_all}", "black", font)
    for line, label in enumerate(shown):
        pen.text((left - MARGIN, ABOVE + (line + 0.5) * height / len(shown)), label, "black", font, "rm")
    for column in range(0, len(days), max(1, -(-len(days) // TICKS))):
        text, half = str(days[column]), font.getlength(str(days[column])) / 2
        middle = min(left + (column + 0.5) * width / len(days), WIDTH - half)
        pen.text((middle, ABOVE + height + MARGIN / 2), text, "black", font, "ma")
    _draw_legend(pen, font, [name for number, name in enumerate(COLOURS) if (cells == number).any()], picture.height)
    return _png(picture)


def _cells(table: pa.Table) -> tuple[list[str], np.ndarray]:
    """The labels of the lines in order, and the number of the condition (of none: one more) by line and session."""
    names, keys = list(COLOURS), ["dataset", "bar_size", "symbol"]
    sessions = pc.unique(table["session"]).sort()
    lines = table.group_by(keys).aggregate([]).sort_by([(name, "ascending") for name in keys])
    labels = [" ".join(filter(None, (r["symbol"], r["dataset"], r["bar_size"]))) for r in lines.to_pylist()]
    cells = np.full((len(labels), len(sessions)), len(names), np.uint8)
    if labels:
        numbered = lines.append_column("line", pa.array(np.arange(len(labels))))
        joined = table.select([*keys, "session", "condition"]).join(numbered, keys)
        columns = pc.index_in(joined["session"], sessions).to_numpy()
        numbers = pc.fill_null(pc.index_in(joined["condition"], pa.array(names)), len(names))
        cells[joined["line"].to_numpy(), columns] = numbers.to_numpy()
    return labels, cells


def _coloured(cells: np.ndarray) -> Image.Image:
    """One pixel a cell, in the colour of its condition."""
    colours = [bytes.fromhex(colour[1:]) for colour in (*COLOURS.values(), NOTHING_WANTED)]
    return Image.fromarray(np.array([list(colour) for colour in colours], np.uint8)[cells])


def _draw_legend(pen: ImageDraw.ImageDraw, font: Font, names: Sequence[str], bottom: int) -> None:
    """A square and a word for each condition, in the middle of the last line."""
    square, gap = LETTERS, MARGIN / 2
    widths = [square + gap + font.getlength(name) + 2 * MARGIN for name in names]
    place, middle = (WIDTH - sum(widths) + 2 * MARGIN) / 2, bottom - MARGIN - square / 2
    for name, width in zip(names, widths, strict=True):
        pen.rectangle((place, middle - square / 2, place + square, middle + square / 2), COLOURS[name])
        pen.text((place + square + gap, middle), name, "black", font, "lm")
        place += width


def _png(picture: Image.Image) -> bytes:
    """The picture as a PNG of few colours, which Dagster keeps with each materialization."""
    small = io.BytesIO()
    picture.quantize(PALETTE, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()
