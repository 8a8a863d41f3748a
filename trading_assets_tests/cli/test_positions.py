"""The command `positions`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.cli.app import run
from trading_assets.cli.positions import WATCH_SECONDS
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of
from trading_assets_tests.trading.desk import CALL, FIRST, SECOND, SHARES, UNMARKED, desk

HELD = {FIRST: [(CALL, -5, 60.0), (SHARES, 300, 60.0)], SECOND: [(UNMARKED, 1, 3.0)]}
CALL_NAME = "AAPL  240105C00068000"
Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Simulator]]:
    folder: Path = copy_of(PLAIN, tmp_path_factory.mktemp("command") / "lake")
    with desk(folder, HELD) as found:
        yield found


@pytest.fixture(autouse=True)
def environment(settings: tuple[Settings, Simulator], monkeypatch: pytest.MonkeyPatch) -> None:
    given, _ = settings
    for name, value in {"DATA_DIR": given.data_dir, "IB_PORT": given.ib_port, "NOW": PLAIN_NOW}.items():
        monkeypatch.setenv(f"TRADING_ASSETS_{name}", str(value))


def document(capsys: Output, *options: str) -> Any:
    assert run(["positions", "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_table_with_masked_accounts(capsys: Output) -> None:
    assert run(["positions", "--greeks", "--scenario"]) == 0
    said = capsys.readouterr().out
    assert "AAPL 2024-01-05 68 C" in said and "0.5746" in said and "no_mark" in said and "dollar_delta" in said
    assert "SI***-42" in said and FIRST not in said and SECOND not in said
    assert "1 position(s) have no mark: collect their chains" in said


def test_watching_looks_again_until_it_is_interrupted(
    settings: tuple[Settings, Simulator], capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look is one of what is held then; two messages each."""
    waits: list[float] = []
    tws = settings[1]

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            tws.positions.set(CALL_NAME, 7, 60.0, SECOND)
        elif len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("trading_assets.cli.positions.time.sleep", wait)
    asked = tws.counters.requests.get("positions", 0)
    try:
        assert run(["positions", "--watch"]) == 0, "Ctrl-C is how it ends"
    finally:
        tws.positions.set(CALL_NAME, 0, account=SECOND)
    looks = capsys.readouterr().out.split("unrealized_pnl")[1:]
    assert [look.count("AAPL 2024-01-05 68 C") for look in looks] == [1, 2, 2]
    assert waits == [WATCH_SECONDS] * 3 and tws.counters.requests["positions"] == asked + 3


def test_a_document_for_programs(capsys: Output) -> None:
    found = document(capsys, "--greeks", "--spot", "0.01", "--volatility", "0", "--volatility", "0.02")
    by_id = {row["con_id"]: row for row in found["positions"]}
    assert by_id[CALL]["account"] == FIRST and by_id[CALL]["delta"] == pytest.approx(0.5746, abs=1e-4)
    assert by_id[UNMARKED]["delta"] is None and by_id[UNMARKED]["null_reason"] == "no_mark"
    assert [row["volatility"] for row in found["scenario"]] == [0, 0.02] and found["scenario"][0]["lacking"] == 1
    assert {row["symbol"]: row["lacking"] for row in found["portfolio"]} == {"AAPL": 0, "SPY": 1}
    assert {row["symbol"]: row["positions"] for row in found["underlyings"]} == {"AAPL": 2, "SPY": 1}
    only = document(capsys, "--account", SECOND)
    assert [row["con_id"] for row in only["positions"]] == [UNMARKED] and set(only) == {"positions"}


def test_stored_looks_and_what_they_show(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    assert document(capsys, "--store")["stored"]["rows"] == 3
    assert run(["lineage", "position_snapshots", "--contract", str(CALL)]) == 0
    said = capsys.readouterr().out
    assert "SI***-42" in said and "quantity" in said and FIRST not in said
    monkeypatch.setenv("TRADING_ASSETS_NOW", (PLAIN_NOW + timedelta(minutes=1)).isoformat())
    assert document(capsys, "--store")["changes"] == []
    monkeypatch.setenv("TRADING_ASSETS_IB_PORT", "1")  # nothing is asked
    found = document(capsys, "--changes", "--pnl")
    assert found["changes"] == [] and {row["pnl"] for row in found["pnl"]} == {0, None}
    assert found["pnl_totals"][0]["lacking"] == 1
    assert run(["positions", "--changes"]) == 0 and "Nothing." in capsys.readouterr().out
    assert run(["positions", "--changes", "--account", "SIM-UNKNOWN-1"]) == 2
    assert "No stored look has the account SI***N-1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--watch", "--json"], "--watch shows what is held now"),
        (["--store", "--account", FIRST], "--store stores what all accounts hold"),
        (["--account", "U1234567"], "The login has no account U1***567; it has SI***-42, SI***OND."),
        (["--spot", "-2"], "a price cannot fall by more than all of it"),
    ],
)
def test_wrong_use_is_one_sentence(capsys: Output, options: list[str], sentence: str) -> None:
    assert run(["positions", *options]) == 2
    said = capsys.readouterr().err
    assert sentence in said and len(said.splitlines()) == 1
