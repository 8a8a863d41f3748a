"""The report says what the lake and the state database hold, in a file that needs nothing else."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, time, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from trading_assets.monitoring.alerts import Alerts, AlertType, Issue
from trading_assets.monitoring.report import Report, Section, as_html, as_text, collect, write_report
from trading_assets.repositories.files import locked
from trading_assets.repositories.temporary_files import orphaned_temporary_files, remove_temporary_files
from trading_assets.settings import Settings, system_clock
from trading_assets.state import connect_state, write_transaction
from trading_assets.state.tables import requests
from trading_assets.universe import Universe
from trading_assets.validation.reviews import Reviews
from trading_assets_tests.monitoring.test_watch import BEFORE_XMAS, DAYS, fill

HOSTILE = "<script>alert('x')</script> & \"quoted\""


class Page(HTMLParser):
    """The headings, the cells of tables and the attributes of a document; raises on tags that do not nest."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.cells: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h2", "td", "th"):
            (self.headings if self.open[-1] == "h2" else self.cells).append(data)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(data_dir=tmp_path, now=BEFORE_XMAS)
    Universe(found.state_url).add(["AAPL"])
    return found


def section(report: Report, title: str) -> Section:
    (found,) = (each for each in report.sections if each.title == title)
    return found


def test_an_empty_archive_has_a_report(settings: Settings) -> None:
    report = collect(settings)
    assert [each.title for each in report.sections if each.rows] == ["Freshness", "Pacing"]
    assert all(each.note or each.rows for each in report.sections)
    Page(as_html(report))


def test_it_shows_what_is_there_and_what_waits(settings: Settings) -> None:
    fill(settings, "AAPL", DAYS, conditions=("complete", "error", "complete"))
    issue = Issue(AlertType.MISSING_EQUITY_DATA, "AAPL", HOSTILE)
    Alerts(settings).reconcile([issue], types={AlertType.MISSING_EQUITY_DATA}, now=BEFORE_XMAS)
    held = {"symbol": "AAPL", "session": DAYS[0], "bar_size": "1 day", "close": 93.7}
    Reviews(settings).hold("spike", [held], now=BEFORE_XMAS)

    report = collect(settings)

    (alert,) = section(report, "Open alerts").rows
    assert (alert["alert"], alert["subject"], alert["reason"]) == ("missing_equity_data", "AAPL", HOSTILE)
    bars = {row["dataset"]: row for row in section(report, "Freshness").rows}["equity_bars"]
    assert (bars["rows"], bars["last"], bars["complete"], bars["error"]) == (2, DAYS[2], 2, 1)
    (waiting,) = section(report, "Held for review and in quarantine").rows
    assert waiting["what"] == "1 day bar, rule spike, close 93.7" and "review accept" in waiting["waits for"]
    assert [row["session"] for row in section(report, "Option chains").rows] == DAYS[::-1]
    assert {row["period"] for row in section(report, "Storage").rows} == {"2015", "2015-12"}
    assert section(report, "Coverage").picture is not None


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_requests_are_counted_by_day_and_outcome(
    settings: Settings, database: str, request: pytest.FixtureRequest
) -> None:
    """Two before and one after midnight UTC, and one that is too old; the second was sent twice."""
    if database == "postgresql":
        settings = settings.model_copy(update={"database_url": request.getfixturevalue("postgresql")})
    midnight = datetime.combine(system_clock().date() - timedelta(days=1), time(), UTC)
    ended = [
        (midnight - timedelta(seconds=1), "complete", 1),
        (midnight - timedelta(hours=23), "empty", 2),
        (midnight + timedelta(seconds=1), "complete", 1),
        (midnight - timedelta(days=60), "complete", 1),
    ]
    common = {"kind": "bars", "dataset": "equity_bars", "symbol": "AAPL", "con_id": 0, "session": "2015-12-23"}
    common |= {"record": "{}", "pacing_class": "", "weight": 1, "contract_tick_key": "", "owner": "", "run_id": ""}
    with write_transaction(connect_state(settings.state_url)) as connection:
        for number, (at, outcome, attempt) in enumerate(ended):
            row = {"key": f"{number}", "state": "done", "claimed_at": 0.0, "finished_at": at.timestamp()}
            connection.execute(requests.insert().values(**common, **row, outcome=outcome, attempt=attempt))

    assert [dict(row) for row in section(collect(settings), "Requests by day").rows] == [
        {"day": f"{midnight:%Y-%m-%d}", "sent": 1, "complete": 1},
        {"day": f"{midnight - timedelta(days=1):%Y-%m-%d}", "sent": 3, "complete": 1, "empty": 1},
    ]


def test_the_file_needs_nothing_else_and_nothing_in_it_is_markup(settings: Settings) -> None:
    fill(settings, "AAPL", DAYS)
    Alerts(settings).reconcile(
        [Issue(AlertType.MISSING_EQUITY_DATA, "AAPL", HOSTILE)], types={AlertType.MISSING_EQUITY_DATA}, now=BEFORE_XMAS
    )

    path = write_report(settings)

    assert path == settings.data_dir / "reports" / "2015-12-23.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert "<script" not in text and HOSTILE in page.cells
    assert page.headings[0] == "Open alerts"
    sources = [value or "" for name, value in page.attributes if name in ("src", "href")]
    assert [source.partition(",")[0] for source in sources] == ["data:image/png;base64"]
    assert base64.b64decode(sources[0].partition(",")[2]).startswith(b"\x89PNG")


def test_the_text_has_every_section_and_value(settings: Settings) -> None:
    fill(settings, "AAPL", DAYS)
    report = collect(settings)
    text = as_text(report)
    for each in report.sections:
        assert each.title in text and each.note in text
        assert all(str(name) in text for name in each.columns)
    assert "2015-12-23" in text


def test_what_a_killed_writer_of_a_report_left_is_removed_and_what_a_living_one_writes_is_not(
    settings: Settings,
) -> None:
    written = write_report(settings)
    left = written.with_name(f".{written.name}.999999.tmp")
    left.write_text("half a report")
    name = left.relative_to(settings.data_dir).as_posix()
    with locked(settings.data_dir, written.relative_to(settings.data_dir).as_posix()):
        assert remove_temporary_files(settings.data_dir) == [] and left.exists()
    assert orphaned_temporary_files(settings.data_dir) == [name]
    assert remove_temporary_files(settings.data_dir) == [name]
    assert not left.exists() and written.exists()
