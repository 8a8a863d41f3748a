"""`docs/guide.md`: every code block of the operational guide, executed in order in one namespace, as a user would paste
them into a notebook.

The blocks are those of the guide, adapted in imports and placeholders only. Requests are counted at the simulator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from trading_assets.monitoring.alerts import AlertRules
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.conftest import REPOSITORY
from trading_assets_tests.scenarios.desk import Desk, at

pytestmark = pytest.mark.slow

PAGE = REPOSITORY / "docs" / "guide.md"

LIVE = "Real-time data setup"
"""Executed by `streaming/test_live.py`, in a session: it starts a recorder's process."""

FOUR = ("AAPL", "GOOGL", "MSFT", "TSLA")


def blocks() -> list[tuple[str, str]]:
    """The Python blocks of the page in order, each with the heading above it."""
    text = PAGE.read_text("utf-8")
    headings = [(found.start(), found[1]) for found in re.finditer(r"^#+ (.+)$", _without_code(text), re.MULTILINE)]
    return [
        (max((place, name) for place, name in headings if place < found.start())[1], found[1])
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def _without_code(text: str) -> str:
    """The text with its code blanked out, places unchanged: a comment in code is no heading."""
    return re.sub(r"^```.*?^```$", lambda code: re.sub(r"[^\n]", " ", code[0]), text, flags=re.MULTILINE | re.DOTALL)


@dataclass
class Notebook:
    """One namespace on one data folder. `asked` and `printed` are of the last block that ran."""

    desk: Desk
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "notebook"})
    asked: dict[str, int] = field(default_factory=dict)
    printed: str = ""

    def run(self, heading: str, code: str, captured: pytest.CaptureFixture[str]) -> None:
        """Execute one block."""
        self.desk.forget()
        captured.readouterr()
        exec(compile(code, f"{PAGE.name}: {heading}", "exec"), self.names)
        self.printed, self.asked = captured.readouterr().out, self.desk.asked()

    def __getitem__(self, name: str) -> Any:
        return self.names[name]


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A folder without data, on a Friday after the close; the settings are in the environment."""
    monkeypatch.chdir(tmp_path)
    with Simulator(GeneratedMarket(seed=42), now=at("2024-06-14T16:40-04:00"), limits=False) as simulator:
        selection = {"max_days_to_expiry": 7, "strikes_around_spot": 1}
        channels = {"slack_trading_ops": "json://localhost:1/"}
        desk = Desk(
            tmp_path / "data",
            simulator,
            None,
            {"selection": selection, "alert_channels": channels, "maintenance_channels": ["log"]},
        )
        for name, value in desk.settings.environment().items():
            monkeypatch.setenv(name, value)
        simulator.positions.set("AAPL", 100, 60.0)
        book = Notebook(desk)
        yield book
        for name in ("api_client", "position_manager"):
            if name in book.names:
                book[name].close()


def cold_start(book: Notebook) -> None:
    assert [line.split(":")[0] for line in book.printed.splitlines()] == [
        "contracts", "option_chains", "equity_bars", "option_bars"
    ]  # fmt: skip
    assert "FAILED" not in book.printed
    assert book.asked["contract"] == book.asked["equity bars"] == 1


def ready(book: Notebook) -> None:
    assert book.printed == "All prerequisites met - ready for option data\n"
    assert book.asked == {}


def morning(book: Notebook) -> None:
    assert book.printed == ""
    assert set(book["results"]) == set(FOUR)
    assert all(result.requests_sent == 0 for result in book["results"]["AAPL"]), "only what is missing is requested"
    assert book.asked["contract"] == book.asked["equity bars"] == 3


def healthy(book: Notebook) -> None:
    assert book.printed.splitlines() == [
        *(f"{symbol}: Data integrity OK" for symbol in FOUR),
        "Circuit breaker status: closed",
    ]


def analysis(book: Notebook) -> None:
    assert len(book["equity_data"]) == 115, "the sessions of 2024 up to June 14"
    assert set(book["chain_data"]["session"]) == {pd.Timestamp("2024-06-14")}, "of a Saturday the Friday's"
    assert book.asked == {}


def lineage(book: Notebook) -> None:
    assert {"contracts", "option_chains", "equity_bars", "option_bars"} <= {one.name for one in book["sources"]}
    assert "equity_bars" in book.printed
    assert book.asked == {}


def nothing_asked(book: Notebook) -> None:
    assert book.asked == {}


def business_days(book: Notebook) -> None:
    assert book.printed == "Missing equity data for: [datetime.date(2024, 5, 27)]\n", "Memorial Day"
    assert book.asked == {}, "the lake knows that it was no session"


def protected(book: Notebook) -> None:
    assert list(book["data"].columns) == EQUITY_BARS.schema.names
    assert len(book["data"]) == 32
    assert book.asked == {}
    assert not book["api_client"].connected


def validated(book: Notebook) -> None:
    assert book.printed == "Validation complete: 1 symbols OK, 0 failures\n"
    assert all(book["report"][name] == ["AAPL"] for name in book["report"] if name != "failures")


def missing_only(book: Notebook) -> None:
    (window,) = book["missing_windows"]
    assert window[0].isoformat() == "2023-01-03"
    assert window[1] < min(book["present"])
    assert book.asked == {"equity bars": 1}
    again = book["calculate_missing_windows"](
        book["repo"].present_dates("AAPL", "1 day", book["start_date"], book["end_date"]),
        book["start_date"],
        book["end_date"],
    )
    assert again == []
    assert book["repo"].save(book["data"], symbol="AAPL", bar_size="1 day").unchanged == len(book["data"]) > 0


def option_bars(book: Notebook) -> None:
    assert book.printed == ""
    assert list(book["option_data"].columns) == OPTION_BARS.schema.names
    assert set(book["option_data"]["con_id"]) <= set(book["contracts"]["con_id"])
    assert len(book["option_data"]) > 0
    assert book.asked == {}, "the set-up collected them"


def with_dependencies(book: Notebook) -> None:
    assert book["option_result"].success
    assert all(result.success for result in book["results"])
    assert book.asked == {}


def monitored(book: Notebook) -> None:
    measured = book.desk.rows("select count(*) as n from quality_metrics")
    assert measured["n"][0] > 0


def filtered(book: Notebook) -> None:
    assert len(book["data"]) == 1
    assert len(book["filtered"]) > 250


def batched(book: Notebook) -> None:
    assert list(book["descriptions"]["symbol"]) == ["AAPL", "GOOGL", "MSFT"]
    assert book["description"]["symbol"] == "MSFT"
    assert book.asked == {}


def alert_rules(book: Notebook) -> None:
    rules = {rule.alert_type: rule.notification_channel for rule in AlertRules(book.desk.settings).all()}
    assert {rules[name] for name in book["CRITICAL_ALERTS"]} == {"slack_trading_ops"}


def maintained_weekly(book: Notebook) -> None:
    assert book.asked == {}, "all contracts were verified in this session"
    measured = book.desk.rows("select count(distinct measured_at) as n from quality_metrics")
    assert measured["n"][0] >= 1


def maintained_monthly(book: Notebook) -> None:
    assert book.asked == {} and book.printed == ""
    assert not (book.desk.folder / "archives").exists(), "nothing is a year old"


def positions(book: Notebook) -> None:
    assert book.printed == "AAPL: Delta=1.000, Gamma=0.000\n"


CHECKS: dict[str, Callable[[Notebook], None]] = {
    "Initialize a new symbol": cold_start,
    "Validate the setup": ready,
    "Morning data update": morning,
    "Check system health": healthy,
    "Historical analysis": analysis,
    "Lineage analysis": lineage,
    "Position monitoring": positions,
    'Option backfill fails with "No contract descriptions"': nothing_asked,
    "Option chain data is stale": nothing_asked,
    "Missing equity data for option analysis": business_days,
    "API rate limiting and throttling": protected,
    "Data validation commands": validated,
    "Weekly maintenance": maintained_weekly,
    "Monthly tasks": maintained_monthly,
    "Validate prerequisites": option_bars,
    "Use dependency-aware orchestration": with_dependencies,
    "Monitor data quality": monitored,
    "Repository performance": filtered,
    "API optimization": batched,
    "Critical alerts": alert_rules,
}
"""What the blocks under a heading promise, asked after the last of them."""


def test_every_block_does_what_its_comments_promise(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    found = blocks()
    assert CHECKS.keys() <= {heading for heading, _ in found}
    for position, (heading, code) in enumerate(found):
        if heading == LIVE:
            continue
        notebook.run(heading, code, capsys)
        if heading == "Always check before requesting" and "missing_windows" in code:
            missing_only(notebook)
        last = position + 1 == len(found) or found[position + 1][0] != heading
        if last and heading in CHECKS:
            CHECKS[heading](notebook)
