"""The command line refuses what the other functions refuse, and writes nothing before."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_assets.cli.app import run


@pytest.mark.parametrize(
    "command",
    [
        ["setup", "A/B"],
        ["setup", "AAPL,MSFT"],
        ["setup", "AAPL", "--lookback-days", "-1"],
        ["setup", "AAPL", "--lookback-days", "1000000000"],
        ["setup", "AAPL", "--bar-size", "../x"],
        ["setup", "AAPL", "--max-contracts", "0"],
        ["setup", "AAPL", "--max-days-to-expiry", "1000000000"],
        ["update", "AAPL", "--bar-size", "../x"],
        ["update", "A/B"],
        ["backfill", "AAPL", "--from", "2024-06-15", "--to", "2024-06-16"],
        ["backfill", "AAPL", "--from", "2024-06-14", "--to", "2024-06-13"],
        ["backfill", "AAPL", "--from", "2024-06-31"],
        ["plan", "AAPL", "--lookback-days", "1000000000"],
        ["plan", "A/B"],
        ["coverage", "A/B"],
        ["coverage", "--dataset", "greeks"],
        ["coverage", "--from", "2024-06-14", "--to", "2024-06-13"],
        ["validate", "A/B"],
        ["validate", "--dataset", "greeks"],
        ["validate", "--from", "2024-06-14", "--to", "2024-06-13"],
        ["query", "select 1", "--limit", "0"],
        ["export", "equity_bars", "out.csv", "--symbol", "A/B"],
        ["export", "equity_bars", "out.csv", "--bar-size", "../x"],
        ["export", "equity_bars", "out.csv", "--from", "2024-06-14", "--to", "2024-06-13"],
        ["universe", "add", "A/B"],
        ["universe", "add", "AAPL", "--sec-type", "OPT"],
        ["universe", "add", "AAPL", "--exchange", "§"],
        ["universe", "remove", "A/B"],
        ["universe", "resolve", "A/B", "--same"],
        ["universe", "series", "A/B"],
        ["universe", "restore", "A/B"],
        ["review", "accept", "AAPL", "2024-06-15"],
        ["review", "reject", "A/B", "2024-06-14"],
        ["quarantine", "show", "0"],
        ["alerts", "silence", "nope", "--hours", "1"],
        ["alerts", "silence", "run_failed", "--hours", "1000000"],
        ["alerts", "rules", "add", "run_failed", "log", "--remind-hours", "0"],
        ["alerts", "rules", "remove", "nope", "log"],
    ],
    ids=" ".join,
)
def test_a_wrong_argument_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"DATA_DIR": "lake", "NOW": "2024-06-20T16:30-04:00", "IB_PORT": "1"}.items():
        monkeypatch.setenv(f"TRADING_ASSETS_{name}", value)
    assert run(command) in (1, 2)
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "DataPipelineOrchestrator" not in said
    assert list(tmp_path.iterdir()) == []
