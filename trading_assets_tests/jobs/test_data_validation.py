"""The guide's `DataValidation` and the `validate` and `review` commands, on lakes with and without a fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trading_assets.cli.app import run
from trading_assets.errors import DataIntegrityError, PrerequisiteError
from trading_assets.jobs import DataValidation, get_all_active_symbols, validate_all_data
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets_tests.validation.worlds import BAR_SESSIONS, NOW, SYMBOLS, World, world, write


def broken(rows: World) -> None:
    """One AAPL bar has its high below its low."""
    for row in rows[EQUITY_BARS.name]:
        if row["symbol"] == "AAPL" and row["session"] == BAR_SESSIONS[-1] and row["bar_size"] == "1 day":
            row["high"] = row["low"] - 1


@pytest.fixture
def faulty(tmp_path: Path) -> Settings:
    rows = world()
    broken(rows)
    return write(tmp_path, rows)


def test_the_guides_report_over_a_sound_lake(tmp_path: Path) -> None:
    settings = write(tmp_path, world())
    report = validate_all_data(settings=settings)
    assert report == {
        name: list(SYMBOLS) for name in ("contracts_ok", "chains_ok", "equity_ok", "option_ok", "integrity_ok")
    } | {"failures": []}
    assert get_all_active_symbols(settings=settings) == list(SYMBOLS)


def test_a_fault_is_the_symbols_own(faulty: Settings) -> None:
    validator = DataValidation(settings=faulty)
    validator.validate_data_integrity("ibm")
    with pytest.raises(
        DataIntegrityError, match=r"AAPL: prices_consistent \(equity_bars\): 1 of \d+ fail, of AAPL\."
    ) as error:
        validator.validate_data_integrity("AAPL")
    assert [result.rule.name for result in error.value.results] == ["prices_consistent"]
    with pytest.raises(PrerequisiteError, match="equity_bars violates prices_consistent"):
        validator.validate_option_backfill_prerequisites("AAPL")
    report = validate_all_data(settings=faulty)
    assert report["integrity_ok"] == ["IBM"] and report["equity_ok"] == list(SYMBOLS)
    assert [failure["symbol"] for failure in report["failures"]] == ["AAPL"]


def test_what_is_absent_is_a_missing_prerequisite(tmp_path: Path) -> None:
    validator = DataValidation(settings=write(tmp_path, {name: [] for name in world()}))
    for check, said in (
        (validator.validate_symbol_contracts_exist, "contract_present"),
        (validator.validate_option_chain_current, "chain_current"),
        (
            validator.validate_equity_data_available,
            r"AAPL has no equity_bars in the lake. Run DataPipelineOrchestrator\(\).setup_new_symbol\('AAPL'\).",
        ),
        (validator.validate_option_backfill_prerequisites, "contract_present"),
    ):
        with pytest.raises(PrerequisiteError, match=said):
            check("AAPL")


@pytest.mark.parametrize("dataset", ["option_chains", "equity_bars"])
def test_option_bars_need_chain_and_equity_bars(tmp_path: Path, dataset: str) -> None:
    validator = DataValidation(settings=write(tmp_path, {**world(), dataset: []}))
    with pytest.raises(PrerequisiteError, match=f"AAPL has no .*{dataset}.* in the lake"):
        validator.validate_option_backfill_prerequisites("AAPL")


def command(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    return run(list(arguments))


def test_validate_exits_with_1_on_an_error_only(
    faulty: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def written() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in faulty.data_dir.rglob("*") if path.is_file()}

    before = written()
    assert command(faulty, monkeypatch, "validate", "--no-record") == 1
    assert written() == before
    capsys.readouterr()
    assert command(faulty, monkeypatch, "validate", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    failing = {rule["rule"] for rule in document["rules"] if not rule["passed"] and rule["severity"] == "error"}
    assert failing == {"prices_consistent"} and not document["passed"]
    assert command(faulty, monkeypatch, "validate", "IBM") == 0
    capsys.readouterr()
    assert command(faulty, monkeypatch, "validate", "--dataset", "equity_bars") == 1
    told = capsys.readouterr().out
    assert (
        "error prices_consistent (equity_bars): 1 of" in told
        and "Collect the symbol's bars again with --refresh" in told
    )
    assert command(faulty, monkeypatch, "validate", "--to", str(BAR_SESSIONS[-2])) == 0
    assert command(faulty, monkeypatch, "validate", "--dataset", "greeks") == 2


def test_a_warning_exits_with_0_and_its_bar_is_reviewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = world()
    for row in rows[EQUITY_BARS.name]:
        if row["session"] == BAR_SESSIONS[-3]:
            row["high"] = row["close"] = row["close"] * 1.4
    settings = write(tmp_path, rows)
    assert command(settings, monkeypatch, "validate") == 0
    assert command(settings, monkeypatch, "review", "accept", "aapl", str(BAR_SESSIONS[-3])) == 0
    assert command(settings, monkeypatch, "review", "reject", "IBM", str(BAR_SESSIONS[-3])) == 0
    assert command(settings, monkeypatch, "review", "reject", "IBM", str(BAR_SESSIONS[-3])) == 1
    capsys.readouterr()
    assert command(settings, monkeypatch, "review", "list", "--all", "--json") == 0
    held = json.loads(capsys.readouterr().out)
    assert {(review["symbol"], review["verdict"]) for review in held if review["session"] == str(BAR_SESSIONS[-3])} == {
        ("AAPL", "accepted"),
        ("IBM", "rejected"),
    }
    assert command(settings, monkeypatch, "review", "list") == 0


def test_the_script_of_the_guide_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's own loop, over the folder `data` of the working directory."""
    write(tmp_path / "data", world())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", "data")
    monkeypatch.setenv("TRADING_ASSETS_NOW", NOW.isoformat())
    validator = DataValidation(Path("data"))
    passed, failures = [], []
    for symbol in get_all_active_symbols():
        try:
            validator.validate_symbol_contracts_exist(symbol)
            validator.validate_option_chain_current(symbol)
            validator.validate_equity_data_available(symbol)
            validator.validate_option_backfill_prerequisites(symbol)
            validator.validate_data_integrity(symbol)
            passed.append(symbol)
        except Exception as error:
            failures.append({"symbol": symbol, "error": str(error)})
    assert (passed, failures) == (["AAPL", "IBM"], [])
    assert validate_all_data() == validate_all_data(Path("data"))
