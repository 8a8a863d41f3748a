"""The command `lineage`: rows, requests, runs, partitions, the graph; what is wrong use."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from trading_assets.cli.app import run
from trading_assets_tests.lineage.collected import MONDAY, TUESDAY, collected, settings_of

pytestmark = pytest.mark.xdist_group("lineage")  # what they look at is collected once

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRADING_ASSETS_")]:
        monkeypatch.delenv(name)
    for name, value in settings_of(collected()).environment().items():
        monkeypatch.setenv(name, value)


def document(output: Output, *arguments: str) -> Any:
    assert run(["lineage", *arguments, "--json"]) == 0
    return json.loads(output.readouterr().out)


def text(output: Output, *arguments: str, code: int = 0) -> str:
    assert run(["lineage", *arguments]) == code
    return output.readouterr().out


def test_rows_lead_to_their_requests_and_runs(capsys: Output) -> None:
    rows = document(capsys, "option_bars", "--symbol", "aapl", "--session", MONDAY)["rows"]
    assert {row["origin"] for row in rows} == {"aggregated", "answer"}
    first = rows[0]
    assert first["request"]["kind"] == "bars" and first["request"]["answer_bytes"] > 20
    assert first["requested_by"]["job"] == "setup_symbol"
    assert (first["recorded_by"]["partition"], first["recorded_by"]["code_version"]) == (MONDAY, "1")
    listed = text(capsys, "option_bars", "--symbol", "aapl", "--session", MONDAY, "--limit", "5")
    assert f"... {len(rows) - 5} more rows" in listed


def test_one_row_is_shown_in_full(capsys: Output) -> None:
    (row, *_) = document(capsys, "option_bars", "--session", MONDAY, "--bar-size", "1 day")["rows"]
    contract = row["row"]["local_symbol"]
    shown = text(
        capsys, "option_bars", "--symbol", "AAPL", "--session", MONDAY, "--contract", contract, "--bar-size", "1 day"
    )
    for said in (row["request"]["key"], f"request       {row['request_id']}, bars", "Aggregated from 1 bar(s)"):
        assert said in shown
    assert f"{row['request']['answer_bytes']:,} bytes" in shown
    assert "of setup_symbol, success" in shown
    assert "code version 1" in shown


def test_from_a_request_and_a_run_back_to_the_rows(capsys: Output) -> None:
    (row, *_) = document(capsys, "equity_bars", "--session", TUESDAY)["rows"]
    found = document(capsys, "request", str(row["request_id"]))
    assert [group["rows"] for group in found["groups"] if group["dataset"] == "equity_bars"] == [1]
    assert "Rows that name it:" in text(capsys, "request", str(row["request_id"]))
    run_id = row["request"]["run_id"]
    made = document(capsys, "run", run_id)
    assert TUESDAY in made["partitions"]["equity_bars"]
    assert any(row["request_id"] in group["ids"] for group in made["requests"])
    assert "of daily_update, success" in text(capsys, "run", run_id)


def test_a_request_that_nobody_knows_fails_in_a_sentence(capsys: Output) -> None:
    assert "has no record of that request 999999" in text(capsys, "request", "999999", code=1)


def test_partitions_and_what_depends_on_them(capsys: Output) -> None:
    made = document(capsys, "partition", "option_chains", "--session", TUESDAY)
    assert made["rows"] == sum(made["origins"].values())
    assert "option_parameters" in text(capsys, "partition", "option_chains", "--session", TUESDAY)
    touched = document(capsys, "downstream", "option_chains", "--session", TUESDAY)
    assert [(one["asset"], one["partition"]) for one in touched] == [
        ("option_bars", TUESDAY),
        ("option_greeks", TUESDAY),
        ("quality_metrics", None),
    ]
    assert "contracts" in text(capsys, "upstream", "option_bars", "--session", TUESDAY)


def test_the_whole_archive(capsys: Output) -> None:
    assert text(capsys).startswith("Lineage of ")
    assert document(capsys)["requests"]["contract_details"] == 1
    assert text(capsys, "graph").startswith("graph LR\n")
    assert "Nothing is out of date." in text(capsys, "outdated")
    assert document(capsys, "outdated") == []


def test_a_row_that_is_not_there_is_reported_with_what_is_recorded(capsys: Output) -> None:
    assert "no such row. Nothing is recorded" in text(capsys, "option_bars", "--symbol", "IBM", "--session", MONDAY)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "option_bars"),
        (["option_bars"], "--symbol, --session, --contract"),
        (["request"], "lineage request ID"),
        (["request", "0"], "above 0"),
        (["request", "abc"], "above 0"),
        (["partition", "option_bars"], "--session"),
        (["partition", "bars", "--session", MONDAY], "contracts, option_chains"),
        (["run", "abc"], "record of run abc"),
        (["option_bars", "--session", "2025-11-22"], "no trading session"),
        (["upstream", "x"], "give one of contracts"),
    ],
)
def test_wrong_use(arguments: list[str], said: str, capsys: Output) -> None:
    assert run(["lineage", *arguments]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
