"""The command `quarantine`: what it shows of bad answers, and what becomes of them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.broker.requests import BarsRequest
from trading_assets.cli.app import run
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import bar_coverage
from trading_assets.instrument import Instrument
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets_tests.journals import mark_done

Output = pytest.CaptureFixture[str]

SESSION = date(2024, 6, 3)
BAD = [["20240603", 10.0, 9.0, 8.0, 9.5, 100.0, 9.5, 7]]


@pytest.fixture
def quarantined(folder: Path) -> Path:
    """A lake with one answer in quarantine: the high of the only bar is below its open."""
    with Archive(Settings()) as archive:
        end = datetime(2024, 6, 4, 4, tzinfo=UTC)
        request = BarsRequest(
            Instrument("AAPL", con_id=265598), SESSION, first_session=SESSION, end=end, duration="1 D"
        )
        journal: Journal = archive.journal
        (claim,) = journal.claim([request], journal.now())
        mark_done(journal, claim.request_id, Outcome(OutcomeKind.COMPLETE), {"bars": BAD})
        results = archive.recovered([EQUITY_BARS.name])
        archive.coverage.record(bar_coverage(results, EQUITY_BARS.schema.empty_table(), archive.calendar))
        archive.examiner.settle([claim.request_id], archive.now)
        journal.applied([claim.request_id])
    return folder


def answer(capsys: Output, *words: str) -> Any:
    assert run(["quarantine", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_empty_quarantine(folder: Path, capsys: Output) -> None:
    assert run(["quarantine"]) == 0
    assert "No answer is in quarantine." in capsys.readouterr().out
    assert answer(capsys, "list") == []


def test_a_bad_answer_is_listed_and_shown(quarantined: Path, capsys: Output) -> None:
    (entry,) = answer(capsys, "list")
    assert (entry["symbol"], entry["dataset"], entry["sessions"], entry["state"]) == (
        "AAPL",
        "equity_bars",
        ["2024-06-03"],
        "open",
    )
    assert [fault["field"] for fault in entry["faults"]] == ["high"]
    shown = answer(capsys, "show", str(entry["id"]))
    assert shown["answer"] == {"bars": BAD}
    assert run(["quarantine"]) == 0
    printed = capsys.readouterr().out
    assert "AAPL" in printed
    assert "high" in printed
    assert run(["quarantine", "show", str(entry["id"])]) == 0
    assert "is below the open or the close" in capsys.readouterr().out


def test_retry_lets_it_be_asked_now(quarantined: Path, capsys: Output) -> None:
    (entry,) = answer(capsys, "list")
    waiting = Archive(Settings()).coverage.conditions("equity_bars", "1 day").to_pylist()
    assert [row["retry_after"] is not None for row in waiting] == [True]
    assert answer(capsys, "retry", str(entry["id"]))["retry_after"] < entry["retry_after"]
    assert run(["quarantine", "retry", str(entry["id"])]) == 0
    assert "trading-assets update AAPL" in capsys.readouterr().out
    due = Archive(Settings()).coverage.conditions("equity_bars", "1 day").to_pylist()
    assert [(row["condition"], row["retry_after"]) for row in due] == [("error", None)]


def test_discard_deletes_the_answer_and_leaves_the_session_missing(quarantined: Path, capsys: Output) -> None:
    (entry,) = answer(capsys, "list")
    assert run(["quarantine", "discard", str(entry["id"])]) == 0
    assert "stays missing" in capsys.readouterr().out
    assert answer(capsys, "list", "--all") == []
    (row,) = Archive(Settings()).coverage.conditions("equity_bars", "1 day").to_pylist()
    assert row["condition"] == "error"


@pytest.mark.parametrize("command", ["show", "retry", "discard"])
def test_an_unknown_id_is_wrong_use(folder: Path, capsys: Output, command: str) -> None:
    assert run(["quarantine", command, "7"]) == 2
    assert "There is no quarantined answer 7" in capsys.readouterr().err
    assert run(["quarantine", command, "x"]) == 2
