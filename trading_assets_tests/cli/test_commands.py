"""The command: what it prints, its exit codes, its sentences. In this process where that is quick, as a process where
the process is the point."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from trading_assets.cli.app import run
from trading_assets.repositories import LakeIdentity
from trading_assets.repositories.schemas import DATASETS
from trading_assets.simulator import Simulator
from trading_assets_tests.cli.conftest import Output, document

COMMANDS = (
    *(
        "demo",
        "up",
        "worker",
        "simulate",
        "setup",
        "update",
        "backfill",
        "plan",
        "universe",
        "status",
        "coverage",
        "query",
    ),
    *("report", "export"),
)

# --- what a worker needs ----------------------------------------------------------------------------------------------


def test_a_worker_without_its_settings_says_which_are_missing(
    folder: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["worker"]) == 1
    assert "TRADING_ASSETS_LAUNCHER is process" in capsys.readouterr().err
    monkeypatch.setenv("TRADING_ASSETS_LAUNCHER", "celery")
    monkeypatch.setenv("TRADING_ASSETS_CELERY_BROKER", "redis://:hunter2@127.0.0.1:1/0")
    assert run(["worker"]) == 2, "as with every wrong setting"
    said = capsys.readouterr().err
    assert "TRADING_ASSETS_DATABASE_URL and TRADING_ASSETS_DAGSTER_DATABASE_URL" in said and "hunter2" not in said
    assert run(["worker", "--runs", "0"]) == 2
    assert not folder.exists()


# --- wrong use --------------------------------------------------------------------------------------------------------


def test_help_names_every_command(folder: Path, capsys: Output) -> None:
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(command in said for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_of_its_own(folder: Path, capsys: Output, command: str) -> None:
    assert run([command, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out
    assert not folder.exists()


def test_without_a_command_the_help_is_shown(folder: Path, capsys: Output) -> None:
    assert run([]) == 2
    printed = capsys.readouterr()
    assert "Usage" in printed.out + printed.err
    assert "error" not in printed.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["colect"], "No such command 'colect'."),
        (["plan"], "Missing argument 'symbols'."),
        (
            ["plan", "AAPL", "--lookback-days", "-1"],
            "Invalid value for '--lookback-days': Input should be greater than or equal to 0",
        ),
        (
            ["plan", "AAPL", "--strikes", "0"],
            "Invalid value for '--strikes': Input should be greater than or equal to 1",
        ),
        (["plan", "A/B"], "'A/B' is not a US stock, ETF or index symbol."),
        (["setup", "A/B"], "'A/B' is not a US stock, ETF or index symbol."),
        (["update", "--nothing"], "No such option: --nothing"),
        (["backfill", "AAPL"], "Missing option '--from'."),
        (
            ["backfill", "AAPL", "--from", "2024-06-01", "--to", "2024-06-02"],
            "There is no trading session from 2024-06-01 to 2024-06-02.",
        ),
        (
            ["backfill", "AAPL", "--from", "June"],
            "Invalid value for '--from': 'June' is no date: give a day of the calendar as YYYY-MM-DD.",
        ),
        (["coverage", "??"], "'??' is not a US stock, ETF or index symbol."),
        (
            ["coverage", "--from", "2024-06-03", "--to", "2024-05-31"],
            "Invalid value for '--to': the range cannot end (2024-05-31) before it begins (--from 2024-06-03).",
        ),
        (["universe", "add", "A/B"], "'A/B' is not a US stock, ETF or index symbol."),
        (
            ["simulate", "--market", "nowhere"],
            "The market 'nowhere' is neither `generated` nor a folder of recorded market data.",
        ),
        (
            ["simulate", "--now", "noon"],
            "Invalid value for '--now': 'noon' is no instant: give one with a time zone, or `live`.",
        ),
        (
            ["simulate", "--now", "2015-12-24T13:30"],
            "Invalid value for '--now': '2015-12-24T13:30' has no time zone: give for example 2015-12-24T13:30-05:00.",
        ),
        (
            ["simulate", "--speed", "60"],
            "--speed is a positive number and needs an instant to start from: give --now too.",
        ),
        (["simulate", "--positions", "nowhere.json"], "The positions nowhere.json cannot be read: No such file"),
        (["simulate", "--actions", "nowhere.json"], "The file of corporate actions nowhere.json cannot be read"),
        (
            ["simulate", "--latency", "slow"],
            "Invalid value for '--latency': 'slow' is neither `none`, `real` nor a number of seconds",
        ),
        (["simulate", "--server-version", "99"], "The simulator speaks server versions 157, 176, 178, not 99."),
    ],
)
def test_wrong_use_is_told_in_one_sentence(folder: Path, capsys: Output, arguments: list[str], sentence: str) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert printed.err.startswith("error: ")
    assert len(printed.err.splitlines()) == 1


def test_a_wrong_setting_is_told_in_one_sentence(folder: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_ASSETS_IB_PORT", "TWS")
    assert run(["status"]) == 2
    said = (
        "error: The setting ib_port is wrong ('TWS'): input should be a valid integer, unable to parse string as an"
        " integer.\n"
    )
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("command", [["status"], ["coverage"], ["validate"]])
@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (
            "1970-01-01T00:00Z",
            "1970-01-01T00:00:00+00:00 is before the first session of the calendar, 1998-01-02: set the clock right.",
        ),
        ("2100-01-01T00:00Z", "2100-01-01T00:00:00+00:00 is past the end of the calendar, "),
    ],
)
def test_a_clock_outside_the_calendar_is_refused(
    folder: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch, command: list[str], now: str, sentence: str
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_NOW", now)
    assert run(command) == 2
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)
    assert sentence in printed.err


def test_a_lake_of_a_newer_version_is_no_wrong_use(folder: Path, capsys: Output) -> None:
    folder.mkdir()
    LakeIdentity(folder).path.write_text('{"schema_version": 99}')
    assert run(["status"]) == 1
    assert "use a newer version of the program" in capsys.readouterr().err


def test_an_error_nobody_foresaw_ends_in_a_sentence_too(
    folder: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "lake.json").mkdir(parents=True)  # a folder where a file should be
    assert run(["status"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert "Traceback" not in printed
    monkeypatch.setenv("TRADING_ASSETS_TRACEBACK", "1")
    assert run(["status"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_the_exit_codes_reach_the_shell(folder: Path) -> None:
    """And neither a traceback nor a library's notice the terminal."""
    for arguments, code in ((["universe", "list", "--json"], 0), (["universe", "remove", "AAPL"], 1), (["nothing"], 2)):
        words = [sys.executable, "-m", "trading_assets.cli", *arguments]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == code
        assert done.stderr.count("\n") == int(code != 0), done.stderr


# --- looking ----------------------------------------------------------------------------------------------------------


def test_the_universe_is_added_to_listed_and_removed_from(folder: Path, capsys: Output) -> None:
    assert run(["universe", "list"]) == 0
    assert capsys.readouterr().out == "The universe is empty.\n"
    assert run(["universe", "add", "spy", "SPX", "brk.b"]) == 0
    assert capsys.readouterr().out == "Active: BRK B, SPX, SPY.\n"
    assert run(["universe", "add", "MID", "--sec-type", "IND", "--exchange", "PHLX"]) == 0
    assert capsys.readouterr().out == "Active: MID.\n"
    assert run(["universe", "list", "--json"]) == 0
    listed = document(capsys)
    assert [(row["symbol"], row["sec_type"], row["exchange"], row["currency"]) for row in listed] == [
        ("BRK B", "STK", "SMART", "USD"),
        ("MID", "IND", "PHLX", "USD"),
        ("SPX", "IND", "CBOE", "USD"),
        ("SPY", "STK", "SMART", "USD"),
    ]
    assert all(datetime.fromisoformat(row["added_at"]).tzinfo for row in listed)
    assert run(["universe", "remove", "SPX", "SPY"]) == 0
    assert capsys.readouterr().out == "No longer collected: SPX, SPY. Their data stays in the lake.\n"
    assert run(["universe", "list"]) == 0
    printed = capsys.readouterr().out
    assert "BRK B" in printed
    assert "SPY" not in printed
    assert run(["universe", "remove", "SPY"]) == 1
    assert capsys.readouterr().err == "error: None of these symbols was active.\n"


def test_the_status_of_an_empty_folder(folder: Path, capsys: Output) -> None:
    assert run(["status"]) == 0
    said = capsys.readouterr().out
    assert str(folder) in said
    assert "2024-06-03 20:30 UTC, session 2024-06-03" in said
    assert "no Dagster instance yet" in said
    assert run(["status", "--json"]) == 0
    found = document(capsys)
    assert (found["data_dir"], found["now"], found["session"]) == (
        str(folder),
        "2024-06-03T20:30:00+00:00",
        "2024-06-03",
    )
    assert found["lake"] == {
        "identity": None,
        "files": 0,
        "rows": dict.fromkeys(DATASETS, 0),
        "last_write": None,
    }
    assert found["journal"] == {"open": 0, "unapplied": 0}
    assert found["breaker"] == {"phase": "closed", "failures": 0, "opened_at": None}
    assert (found["broker"]["endpoint"], found["broker"]["reachable"], found["broker"]["last_contact"]) == (
        "127.0.0.1:1",
        None,
        None,
    )
    assert found["requests"] == {"sent_today": 0, "by_kind": {}, "open": 0}
    assert found["pacing"]["open_history_requests"] == {"limit": 49, "used": 0, "left": 49}
    assert [found[name] for name in ("symbols", "freshness", "gaps", "wrong")] == [[], [], [], []]
    assert (found["queue"], found["schedules"]) == (None, None)


def test_the_status_shows_each_gateway(folder: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [{"name": "east", "port": 1}, {"name": "west", "port": 2, "open_history_requests": 20}]
    monkeypatch.setenv("TRADING_ASSETS_GATEWAYS", json.dumps(ways))
    monkeypatch.delenv("TRADING_ASSETS_IB_PORT", raising=False)
    assert run(["status"]) == 0
    said = capsys.readouterr().out
    assert "east 127.0.0.1:1, west 127.0.0.1:2" in said
    assert "not contacted yet" in said.partition("gateway")[2], "the table of the gateways"
    assert run(["status", "--json"]) == 0
    found = document(capsys)
    records = (found, *found["gateways"])
    assert [one["pacing"]["open_history_requests"]["limit"] for one in records] == [69, 49, 20]


def test_the_status_names_what_an_active_symbol_lacks(small_lake: Path, capsys: Output) -> None:
    assert run(["universe", "add", "AAPL"]) == 0
    capsys.readouterr()
    assert run(["status", "--json"]) == 1
    found = document(capsys)
    assert found["wrong"][0].startswith("The broker cannot be reached: 127.0.0.1:1 does not accept a connection")
    assert found["wrong"][1] == "AAPL has no contracts: trading-assets setup AAPL"
    assert [row["rows"] for row in found["freshness"]] == [0, 0, 4, 0]
    behind = found["freshness"][2]["behind"]
    assert f"AAPL: equity_bars is {behind} session(s) behind: trading-assets update AAPL" in found["wrong"]
    assert behind > 2000
    assert found["freshness"][2]["conditions"] == {"pending": 30}
    assert run(["status", "--no-probe"]) == 1
    said = capsys.readouterr().out
    assert "wrong AAPL has no contracts: trading-assets setup AAPL" in said
    assert "not contacted yet" in said


def test_a_clock_before_the_lake_is_told_before_the_rules(
    small_lake: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["validate", "--json"])
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("TRADING_ASSETS_NOW", "2015-12-22T20:00Z")
    run(["validate", "--json"])
    said = (
        "The clock (2015-12-22 20:00 UTC) is before the lake's newest data (session 2015-12-24): change"
        " TRADING_ASSETS_NOW or take it away."
    )
    assert capsys.readouterr().err == f"note: {said}\n"


def test_a_query_prints_a_table_or_a_document(small_lake: Path, capsys: Output) -> None:
    sql = (
        "select symbol, session, close, collected_at, wap from equity_bars where session >= '2015-12-23' order by"
        " symbol, session"
    )
    assert run(["query", sql]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["symbol", "session", "close", "collected_at", "wap"]
    assert lines[1].split() == ["AAPL", "2015-12-23", "102", "2015-12-24", "17:00:00"]
    assert len(lines) == 5
    assert run(["query", sql, "--json"]) == 0
    assert document(capsys)[0] == {
        "symbol": "AAPL",
        "session": "2015-12-23",
        "close": 102.0,
        "collected_at": "2015-12-24T17:00:00+00:00",
        "wap": None,
    }


def test_a_query_shows_so_many_rows_and_the_document_all(small_lake: Path, capsys: Output) -> None:
    assert run(["query", "select close from equity_bars", "--limit", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[-1] == "... 5 more rows (--limit, --format)."
    assert run(["query", "select close from equity_bars", "--limit", "3", "--json"]) == 0
    assert len(document(capsys)) == 8


@pytest.mark.parametrize(
    ("sql", "word"),
    [("select nothing from equity_bars", "nothing"), ("select * from nowhere", "nowhere"), ("selct", "syntax")],
)
def test_a_query_that_is_no_sql_is_wrong_use_and_says_where(
    small_lake: Path, capsys: Output, sql: str, word: str
) -> None:
    assert run(["query", sql]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert word in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        (
            "explain analyze copy (select 1) to 'x.csv'",
            "A query is one SELECT, or EXPLAIN of one: it only reads. This is an EXPLAIN of another statement.",
        ),
        ("select 1; select 2", "A query is exactly one SELECT; this text has 2 statements."),
        (
            "drop view equity_bars",
            "A query is one SELECT, or EXPLAIN of one: it only reads. This is a statement of the kind DROP.",
        ),
        (
            "select * from read_csv('/etc/passwd')",
            (
                'Invalid value: Cannot access file "/etc/passwd" - file system operations are disabled by'
                " configuration. query reads the datasets of the lake, no other file and no network address."
            ),
        ),
    ],
)
def test_a_query_that_does_more_than_read_the_lake_is_refused_in_one_line(
    small_lake: Path, capsys: Output, sql: str, sentence: str
) -> None:
    assert run(["query", sql]) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_a_query_over_an_empty_folder_has_columns_and_no_rows(folder: Path, capsys: Output) -> None:
    assert run(["query", "select symbol, close from equity_bars"]) == 0
    assert capsys.readouterr().out.split() == ["symbol", "close"]
    assert run(["query", "select symbol from option_chains", "--json"]) == 0
    assert document(capsys) == []


def test_the_coverage_says_what_there_is_and_why_not(small_lake: Path, capsys: Output) -> None:
    assert run(["coverage", "--to", "2015-12-24", "--json"]) == 0
    rows = document(capsys)
    assert [(row["symbol"], row["condition"], row["sessions"]) for row in rows] == [
        ("AAPL", "complete", 4),
        ("IBM", "error", 1),
        ("IBM", "pending", 3),
        ("SPY", "complete", 4),
    ]
    assert (rows[1]["reason"], rows[1]["broker_code"]) == ("The broker did not answer.", 162)
    assert rows[2]["reason"] == "Not collected yet."
    assert [row["reason_session"] for row in rows] == [None, "2015-12-21", "2015-12-24", None]
    assert run(["coverage", "IBM", "--to", "2015-12-24"]) == 0
    assert "Session 2015-12-24: Not collected yet." in capsys.readouterr().out, (
        "of several sessions the reason says of which"
    )
    assert (
        run(["coverage", "aapl", "--dataset", "equity_bars", "--from", "2015-12-22", "--to", "2015-12-23", "--json"])
        == 0
    )
    (row,) = document(capsys)
    assert (row["first"], row["last"], row["sessions"], row["bar_size"]) == ("2015-12-22", "2015-12-23", 2, "1 day")
    assert run(["coverage", "aapl", "--from", "2015-12-22", "--to", "2015-12-23", "--by-session", "--json"]) == 0
    assert [(row["session"], row["condition"]) for row in document(capsys)] == [
        ("2015-12-22", "complete"),
        ("2015-12-23", "complete"),
    ]
    assert run(["coverage", "IBM"]) == 0
    assert "The broker did not answer." in capsys.readouterr().out
    assert run(["coverage", "IBM", "--to", "2015-12-24"]) == 0
    absent = capsys.readouterr().out.partition("Absent of IBM:\n")[2].splitlines()
    assert absent == [
        "  contracts: nothing is recorded of these sessions.",
        "  option_chains: nothing is recorded of these sessions.",
        "  equity_bars 1 day: 1 session(s) error, 2015-12-21: The broker did not answer.",
        "  equity_bars 1 day: 3 session(s) pending, 2015-12-22 to 2015-12-24: Not collected yet.",
        "  option_bars: nothing is recorded of these sessions.",
    ]
    assert run(["coverage", "SPY", "--dataset", "equity_bars", "--to", "2015-12-24"]) == 0
    assert capsys.readouterr().out.endswith("Nothing is absent of SPY.\n")
    assert run(["coverage", "TSLA"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "note: TSLA is not in the universe: trading-assets setup TSLA\n")
    assert run(["coverage", "TSLA", "--json"]) == 0
    printed = capsys.readouterr()
    assert (json.loads(printed.out), printed.err) == (
        [],
        "note: TSLA is not in the universe: trading-assets setup TSLA\n",
    )
    assert run(["universe", "add", "TSLA"]) == 0
    capsys.readouterr()
    assert run(["coverage", "TSLA"]) == 0
    first, _, *absent = capsys.readouterr().out.splitlines()
    assert first == "No coverage is recorded for that."
    assert [line.partition(":")[0].strip() for line in absent] == [
        "contracts",
        "option_chains",
        "equity_bars",
        "option_bars",
    ]
    assert run(["coverage", "--dataset", "bars"]) == 2
    assert "give one of contracts, option_chains, equity_bars, option_bars" in capsys.readouterr().err


def test_the_coverage_is_drawn(small_lake: Path, capsys: Output, tmp_path: Path) -> None:
    picture = tmp_path / "coverage.png"
    assert run(["coverage", "--to", "2016-01-08", "--picture", str(picture)]) == 0
    assert f"The picture is in {picture}." in " ".join(capsys.readouterr().out.split("\n"))
    assert picture.read_bytes().startswith(b"\x89PNG")


# --- serving ----------------------------------------------------------------------------------------------------------


def test_simulate_says_where_it_listens_and_counts_at_the_end(folder: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "trading_assets.cli",
        "simulate",
        "--now",
        "2015-12-24T13:30-05:00",
        "--seed",
        "7",
        "--server-version",
        "176",
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["host"] == "127.0.0.1"
        assert ready["server_version"] == 176
        assert ready["market"].startswith("generated:")
        assert datetime.fromisoformat(ready["now"]) == datetime.fromisoformat("2015-12-24T13:30-05:00")
        with socket.create_connection(("127.0.0.1", ready["port"]), timeout=10) as client:
            client.sendall(b"API\0\0\0\0\tv100..176")
            assert b"176" in client.recv(100)
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0
    assert err == ""
    counters = json.loads(out)["counters"]
    assert counters["connections"]["accepted"] == 1
    assert counters["violations"]["count"] == 0


def test_a_port_that_is_taken_is_told(folder: Path, tws: Simulator, capsys: Output) -> None:
    assert run(["simulate", "--port", str(tws.port)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "in use" in printed.err
    assert "Traceback" not in printed.err
