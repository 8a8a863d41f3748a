"""The report as one HTML file that needs nothing else, and as plain text."""

from __future__ import annotations

import base64
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from trading_assets.arguments import output_file
from trading_assets.arguments.folders import REPORTS
from trading_assets.monitoring.report.sections import Report, Section, collect
from trading_assets.repositories.files import locked, replacing
from trading_assets.settings import Settings

SHORT = 24
"""Characters of a cell that stay on one line."""


def write_report(settings: Settings, path: Path | None = None) -> Path:
    """Write the report of this moment as HTML; return its path, by default `reports/SESSION.html` in the data folder.

    A report of the same session is replaced. Raises `InvalidRequest` for a path among the archive's own files.
    """
    chosen = None if path is None else output_file(path, settings.data_dir)
    report = collect(settings)
    name = f"{REPORTS}/{report.session}.html"
    target = chosen or settings.data_dir / name
    # The lock tells who cleans up that the temporary file has a living writer.
    with locked(settings.data_dir, name) if chosen is None else nullcontext(), replacing(target) as temporary:
        temporary.write_text(as_html(report), encoding="utf-8")
    return target


def as_html(report: Report) -> str:
    """One HTML document: no script, no link, pictures inside; readable on a phone."""
    return _template().render(report=report, encoded=_encoded, shown=_shown, kind=_kind)


def as_text(report: Report) -> str:
    """The same for a terminal or a mail, without the pictures."""
    lines = report.head()
    for section in report.sections:
        lines += ["", section.title, "=" * len(section.title)]
        lines += [section.note] if section.note else []
        lines += _table(section)
    return "\n".join(lines) + "\n"


def _table(section: Section) -> list[str]:
    cells = [[_shown(cell) for cell in section.cells(row)] for row in section.rows]
    if not cells:
        return []
    widths = [max(len(text) for text in column) for column in zip(section.columns, *cells, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in
            [section.columns, *cells]]  # fmt: skip


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    """The class of a cell: numbers are aligned, short texts stay on one line."""
    return "number" if _is_number(value) else "short" if len(_shown(value)) <= SHORT else "long"


def _encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


@cache
def _template() -> Template:
    loader = PackageLoader("trading_assets.monitoring.report", ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2")
