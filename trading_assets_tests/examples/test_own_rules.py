"""Rules and an alert channel of another package: known to the command, the checks and the alerts as our own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from trading_assets.cli.app import run
from trading_assets.errors import ChannelFailed, ExtensionFailed
from trading_assets.monitoring import channels
from trading_assets.monitoring.alerts import AlertSeverity
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets.validation import RULES, Findings, known_rules, validate
from trading_assets_tests.conftest import REPOSITORY
from trading_assets_tests.examples.conftest import EXAMPLES, installed

OWN = EXAMPLES / "own_rules"

Extended = Callable[[Path], None]


def broken_bar(settings: Settings) -> None:
    """A close that the desk's rule finds, and nobody else."""
    store = ParquetStore(settings.data_dir)
    row = store.read(EQUITY_BARS).to_pylist()[-1]
    prices = {name: value * 1e6 for name, value in row.items() if name in ("open", "high", "low", "close", "wap")}
    store.upsert(EQUITY_BARS, pa.Table.from_pylist([row | prices], schema=EQUITY_BARS.schema))


def test_the_command_runs_the_rules_of_another_package(
    settings: Settings, extended: Extended, capsys: pytest.CaptureFixture[str]
) -> None:
    extended(OWN)
    assert [rule.name for rule in known_rules()[len(RULES) :]] == ["desk_spread_is_tradable", "desk_price_limit"]
    broken_bar(settings)
    assert run(["validate", "--dataset", "equity_bars", "--json"]) == 1
    found = {rule["rule"]: rule for rule in json.loads(capsys.readouterr().out)["rules"]}
    assert found["desk_price_limit"]["failed"] == 1
    assert found["desk_price_limit"]["rows"][0]["close"] > 1e6
    assert "desk_price_limit" in {finding.rule for finding in Findings(settings.state_url).current()}


def test_without_the_package_there_are_the_platforms_rules() -> None:
    assert known_rules() == RULES


def test_the_channel_of_another_package_takes_messages(
    settings: Settings, extended: Extended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_ALERTS", str(tmp_path / "alerts.jsonl"))
    extended(OWN)
    assert channels.known_channels(settings) == ("log", "desk_file")
    assert run(["alerts", "test", "desk_file"]) == 0
    (message,) = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text("utf-8").splitlines()]
    assert message["severity"] in ("critical", "warning", "info")
    assert message["title"] and message["body"]


def test_a_channel_that_fails_is_named_without_its_words(
    settings: Settings, extended: Extended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_ALERTS", str(tmp_path))  # a folder
    extended(OWN)
    with pytest.raises(ChannelFailed, match=r"^Channel 'desk_file' did not take the message \(IsADirectoryError\)\.$"):
        channels.send(settings, "desk_file", "title", "body", AlertSeverity.INFO)


PROJECT = """[project]
name = "wrong"
version = "1"
[project.entry-points."trading_assets.rules"]
wrong = "wrong_rules:RULES"
"""

WRONG = {
    "raise OSError('no network')": r"wrong_rules:RULES, which a package adds to trading_assets\.rules as"
    r" 'wrong', cannot be imported \(OSError: no network\)\.",
    "RULES = ['spike']": r"wrong_rules:RULES adds 'spike' to the rules: a trading_assets\.Rule is wanted",
    "RULES = rule('spike')": r"The rule 'spike' of wrong_rules:RULES needs another name",
    "RULES = rule('complete')": r"The rule 'complete' of wrong_rules:RULES needs another name",
    "RULES = rule('mine', holds='no_column > 0')": r"The SQL of a rule that was added \(mine\) is wrong: .*no_column",
}
HEAD = """from trading_assets import Rule, Severity
def rule(name, holds="true"):
    return Rule(name, "equity_bars", Severity.WARN, "why", "remedy", holds)
"""


@pytest.mark.parametrize(("code", "sentence"), WRONG.items(), ids=range(len(WRONG)))
def test_a_wrong_package_is_named(
    settings: Settings, extended: Extended, tmp_path: Path, code: str, sentence: str
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT)
    (project / "wrong_rules.py").write_text(HEAD + code)
    extended(project)
    try:
        with pytest.raises(ExtensionFailed) as failed:
            validate(settings, datasets=["equity_bars"])
        assert re.search(sentence, str(failed.value), re.DOTALL)
    finally:
        sys.modules.pop("wrong_rules", None)


CHECKS = """from trading_assets.definitions import defs
print(sorted(key.to_user_string() for key in defs.resolve_asset_graph().asset_check_keys if "desk" in key.name))"""


@pytest.mark.slow
def test_dagster_has_a_check_for_each_rule_of_another_package(settings: Settings, tmp_path: Path) -> None:
    path = os.pathsep.join(map(str, (installed(OWN, tmp_path / "site"), OWN, REPOSITORY)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHECKS],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.strip() == "['equity_bars:desk_price_limit', 'option_chains:desk_spread_is_tradable']"
