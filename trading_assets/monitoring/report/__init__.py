"""The report: the state of the archive as one HTML file without links, and as text.

`sections` gathers what it says, `rendering` writes it. Nothing here asks a broker or changes the lake.
"""

from trading_assets.monitoring.report.rendering import as_html, as_text, write_report
from trading_assets.monitoring.report.sections import Report, Section, collect

__all__ = ["Report", "Section", "as_html", "as_text", "collect", "write_report"]
