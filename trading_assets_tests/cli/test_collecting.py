"""The commands that collect, and those that look at what was collected, against a simulated TWS that counts what it is
asked."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trading_assets.cli.app import run
from trading_assets.monitoring.headline import headline
from trading_assets.monitoring.status import platform_status
from trading_assets.settings import Settings
from trading_assets_tests.cli.conftest import SMALL, Desk, Output, document


@pytest.mark.parametrize("arguments", [["plan", "AAPL", "SPX", *SMALL], ["status"], ["coverage"], ["universe", "list"]])
def test_looking_and_planning_open_no_connection(empty_desk: Desk, capsys: Output, arguments: Sequence[str]) -> None:
    assert run([*arguments]) == 0
    assert run([*arguments, "--json"]) == 0
    assert empty_desk.asked() == (0, 0)


def test_a_plan_says_what_a_setup_would_cost(empty_desk: Desk, capsys: Output) -> None:
    assert run(["plan", "AAPL", *SMALL]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].split()[:3] == ["dataset", "requests", "messages"]
    assert "under the broker's limits. Nothing was sent." in said
    assert run(["plan", "AAPL", *SMALL, "--json"]) == 0
    found = document(capsys)
    assert (found["symbols"], found["sessions"], found["exact"]) == (["AAPL"], 4, False)
    assert [stage["dataset"] for stage in found["stages"]] == [
        "contracts",
        "option_chains",
        "equity_bars",
        "option_bars",
    ]
    assert found["requests"] > 0
    assert list(empty_desk.folder.rglob("*.parquet")) == []


def test_a_plan_of_what_is_there_is_empty_and_exact(desk: Desk, capsys: Output) -> None:
    assert run(["plan", "AAPL", *SMALL, "--json"]) == 0
    found = document(capsys)
    assert (found["requests"], found["exact"]) == (0, True)
    assert desk.asked() == (0, 0)


def test_the_same_setup_again_asks_nothing(desk: Desk, capsys: Output) -> None:
    assert run(["setup", "AAPL", *SMALL, "--json"]) == 0
    found = document(capsys)
    assert (found["success"], found["requests"]["planned"], found["requests"]["sent"]) == (True, 0, 0)
    assert desk.asked() == (0, 0)


def test_the_status_after_a_setup_is_well(desk: Desk, capsys: Output) -> None:
    assert run(["status", "--json"]) == 0
    found = document(capsys)
    assert found["wrong"] == []
    assert found["symbols"] == ["AAPL"]
    assert found["requests"]["sent_today"] > 0
    assert (found["broker"]["reachable"], found["broker"]["last_contact"]["error"]) == (True, "")
    assert found["broker"]["identity"] == found["lake"]["identity"]
    assert found["queue"] == {"queued": 0, "running": 0}
    assert {row["dataset"]: row["last"] for row in found["freshness"]} == dict.fromkeys(
        ("contracts", "option_chains", "equity_bars", "option_bars"), "2024-06-03"
    )


def test_a_backfill_collects_the_missing_sessions_of_a_range_in_one_run(
    desk: Desk, capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Desk(shutil.copytree(desk.folder, tmp_path / "copy"), desk.tws, monkeypatch)
    words = ["backfill", "AAPL", "--from", "2024-05-06", "--to", "2024-05-17", "--json"]
    assert run(words) == 0
    found = document(capsys)
    assert found["errors"] == []
    assert [entry["job"] for entry in found["runs"]] == ["backfill_bars"]
    equity = found["runs"][0]["reports"][0]
    assert (equity["dataset"], equity["sent"], equity["rows"]) == ("equity_bars", 1, 10)
    assert (equity["first_session"], equity["last_session"], equity["sessions"]) == ("2024-05-06", "2024-05-17", 10)
    assert desk.asked()[0] == 1
    assert (
        run(
            [
                "query",
                "select min(session) as first, count(*) as n from equity_bars where session < '2024-05-20'",
                "--json",
            ]
        )
        == 0
    )
    assert document(capsys) == [{"first": "2024-05-06", "n": 10}]
    assert run(words) == 0
    assert document(capsys)["requests"]["sent"] == 0
    assert desk.asked() == (0, 0)


def test_coverage_that_was_deleted_is_recorded_anew(
    desk: Desk, capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Desk(shutil.copytree(desk.folder, tmp_path / "copy"), desk.tws, monkeypatch)
    shutil.rmtree(copy.folder / "coverage")
    assert run(["status"]) == 1
    said = capsys.readouterr().out
    assert "wrong AAPL has rows in contracts, option_chains, equity_bars, option_bars and no coverage of them" in said
    assert "trading-assets setup AAPL --lookback-days" in said
    assert run(["setup", "AAPL", *SMALL]) == 0
    capsys.readouterr()
    assert run(["status"]) == 0
    capsys.readouterr()
    assert run(["coverage", "--json"]) == 0
    assert [(row["dataset"], row["condition"], row["sessions"]) for row in document(capsys)] == [
        ("contracts", "complete", 1),
        ("equity_bars", "complete", 4),
        ("option_bars", "complete", 4),
        ("option_chains", "complete", 1),
    ]


@pytest.mark.parametrize(("dataset", "name"), [("option_chains", "2024-06.parquet"), ("contracts", "2024.parquet")])
def test_snapshots_that_are_gone_are_told_and_asked_for_again(
    desk: Desk, capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, name: str
) -> None:
    copy = Desk(shutil.copytree(desk.folder, tmp_path / "copy"), desk.tws, monkeypatch)
    (copy.folder / dataset / name).unlink()
    asked = ["coverage", "--dataset", dataset, "--json"]
    assert run(asked) == 0
    (row,) = document(capsys)
    assert (row["condition"], row["reason"]) == (
        "pending",
        "Nothing of it is in the lake, though it was recorded; it is requested again.",
    )
    assert run(["setup", "AAPL", *SMALL]) == 0
    capsys.readouterr()
    assert run(asked) == 0
    (row,) = document(capsys)
    assert (row["condition"], row["reason"]) == ("complete", "")


def test_a_backfill_of_days_to_come_is_refused(desk: Desk, capsys: Output) -> None:
    for last in ("2024-06-04", "2027-06-01"):
        assert run(["backfill", "AAPL", "--from", "2024-06-03", "--to", last]) == 2
        said = (
            f"error: Session {last} has not begun; the current session is 2024-06-03. Choose sessions up to"
            " 2024-06-03.\n"
        )
        assert capsys.readouterr().err == said
    assert desk.asked() == (0, 0)


def test_a_backfill_of_a_symbol_that_was_never_set_up_says_what_to_do(empty_desk: Desk, capsys: Output) -> None:
    assert run(["backfill", "AAPL", "--from", "2024-06-03"]) == 1
    said = capsys.readouterr().out
    assert (
        "AAPL has no contracts in the lake, so nothing was requested for it. Materialize contracts for AAPL first."
        in said
    )
    assert empty_desk.asked() == (0, 0)


@pytest.mark.parametrize("arguments", [["update"], ["backfill", "--from", "2024-06-03"]])
def test_without_symbols_an_empty_universe_is_told(empty_desk: Desk, capsys: Output, arguments: list[str]) -> None:
    assert run(arguments) == 1
    assert (
        capsys.readouterr().err
        == "error: The universe is empty: set up a symbol first (trading-assets setup AAPL) or name symbols.\n"
    )
    assert empty_desk.asked() == (0, 0)


def test_a_broker_that_is_not_there_is_told_with_the_remedy(
    folder: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        monkeypatch.setenv("TRADING_ASSETS_IB_PORT", str(taken.getsockname()[1]))
        assert run(["setup", "AAPL", *SMALL]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: contracts: ")
    assert "Run the same command again." in said
    assert "Traceback" not in said


# --- the first sentence of `status` ----------------------------------------------------------------------------------


def first_line(output: Output) -> str:
    return output.readouterr().out.splitlines()[0]


def test_the_headline_of_an_archive_that_is_up_to_date(desk: Desk, capsys: Output) -> None:
    assert run(["status"]) == 0
    assert first_line(capsys) == (
        "Everything up to 2024-06-03 is collected; no daemon collects the next session: keep trading-assets up"
        " running, or run trading-assets update."
    )


def test_the_headline_of_an_archive_that_a_daemon_keeps(desk: Desk) -> None:
    found = platform_status(Settings())
    found.daemon = found.now
    found.schedules = [
        {"name": "daily_bars", "status": "on", "next_due": datetime(2024, 6, 4, 20, 30, tzinfo=UTC)},
        {"name": "daily_snapshot", "status": "on", "next_due": datetime(2024, 6, 4, 19, 45, tzinfo=UTC)},
        {"name": "quality_check", "status": "on", "next_due": datetime(2024, 6, 3, 21, 0, tzinfo=UTC)},
    ]
    assert headline(found, Settings()) == (
        "Everything up to 2024-06-03 is collected; the next collection is at Tuesday 2024-06-04, 15:45 New York."
    )
    found.schedules[1]["status"] = "off"
    found.schedules[0]["next_due"] = datetime(2024, 6, 3, 21, 30, tzinfo=UTC)
    assert headline(found, Settings()).endswith("the next collection is at 17:30 New York.")


def test_the_headline_of_a_broker_that_cannot_be_reached(
    desk: Desk, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_IB_PORT", "1")
    assert run(["status"]) == 1
    said = first_line(capsys)
    assert said.startswith("The broker cannot be reached: 127.0.0.1:1 does not accept a connection")
    assert said.endswith("Start TWS or the Gateway, or check host and port.")


def test_the_headline_of_several_things(desk: Desk, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_ASSETS_IB_PORT", "1")
    monkeypatch.setenv("TRADING_ASSETS_NOW", "2024-06-06T16:30-04:00")
    assert run(["status", "--json"]) == 1
    told = document(capsys)
    assert told["headline"] == f"{len(told['wrong'])} things need attention. First: {told['wrong'][0]}"
    assert told["wrong"][0].startswith("The broker cannot be reached")
