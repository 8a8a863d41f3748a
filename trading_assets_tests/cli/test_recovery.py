"""A lost state database and a lost `lake.json`, as a user meets them: `status` is red, names the remedy, and is well
again after it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from datetime import date, datetime
from pathlib import Path

import pytest

from trading_assets.cli.app import run
from trading_assets.monitoring import watch
from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state
from trading_assets_tests.cli.conftest import Output, document
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import settings_of
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of
from trading_assets_tests.repositories.frames import covered, table


@pytest.fixture
def lake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fixture lake as data folder of the command, opened once by this version."""
    monkeypatch.setenv("TRADING_ASSETS_NOW", PLAIN_NOW.isoformat())
    monkeypatch.delenv("TRADING_ASSETS_IB_PORT")
    copy_of(PLAIN, folder)
    connect_state(Settings().state_url)  # who only reads does not make the two belong together
    assert run(["status", "--no-probe"]) == 0
    return folder


@pytest.fixture
def lost(lake: Path, capsys: Output) -> Path:
    """The same after the loss of its state database: another folder, this process has the lost one open."""
    folder = copy_of(lake, lake.with_name("lost"))
    for file in folder.glob("state.db*"):
        file.unlink()
    capsys.readouterr()
    return folder


def wrong(capsys: Output) -> list[str]:
    capsys.readouterr()
    code = run(["status", "--no-probe", "--json"])
    found: list[str] = document(capsys)["wrong"]
    assert code == bool(found)
    return found


def symbols(capsys: Output) -> list[str]:
    capsys.readouterr()
    run(["universe", "list", "--json"])
    return [row["symbol"] for row in document(capsys)]


def test_a_lost_state_database_is_told_until_the_universe_is_restored(
    lost: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(lost))
    for _ in range(2):
        (said,) = wrong(capsys)
        assert said.startswith(
            f"The state database {lost / 'state.db'} is missing or new, and the lake was filled with an earlier one"
        )
        assert (
            "Put it back from a backup, or go on with this one: trading-assets universe restore keeps AAPL, SPY again."
            in said
        )
    assert symbols(capsys) == []
    assert [(issue.subject, said == issue.reason) for issue in watch.current_issues(Settings())] == [("state.db", True)]
    assert run(["update"]) == 1 and "trading-assets universe restore keeps AAPL, SPY again" in capsys.readouterr().err
    assert run(["universe", "restore"]) == 0
    assert capsys.readouterr().out == "Restored: AAPL, SPY.\n"
    assert symbols(capsys) == ["AAPL", "SPY"] and wrong(capsys) == [] and watch.current_issues(Settings()) == []


def test_what_is_collected_after_the_loss_has_request_ids_of_its_own(
    lost: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(lost))
    assert run(["universe", "restore"]) == 0
    now = datetime.fromisoformat("2024-01-03T16:30-05:00")
    with Simulator(GeneratedMarket(), now=now, limits=False) as simulator:
        assert by_the_steps(settings_of(lost, simulator, now=now), ["AAPL", "SPY"])["success"]
    sql = "select min(request_id) as first, count(*) as rows from {} where session = '2024-01-03'"
    for name in ("equity_bars", "option_bars"):
        (found,) = query(lost, sql.format(name)).to_pylist()
        assert found["rows"] > 0 and found["first"] > 97, name
    with sqlite3.connect(lost / "state.db") as state:
        assert state.execute("select min(id) from requests").fetchall() == [(98,)]


def test_the_universe_may_be_restored_in_part_or_not_at_all(
    lost: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = copy_of(lost, lost.with_name("other"))
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(lost))
    assert run(["universe", "restore", "spy"]) == 0
    assert "Not kept: AAPL, last collected in session 2024-01-02" in capsys.readouterr().out
    assert symbols(capsys) == ["SPY"] and wrong(capsys) == []
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(other))
    assert wrong(capsys) and run(["universe", "restore", "--none"]) == 0
    assert symbols(capsys) == [] and wrong(capsys) == []
    assert run(["universe", "restore", "IBM"]) == 2
    assert (
        "The lake has no contract details of IBM: trading-assets setup IBM begins to keep it."
        in capsys.readouterr().err
    )
    assert run(["universe", "restore", "SPY", "--none"]) == 2


def test_a_symbol_that_was_given_up_long_ago_is_not_restored_unasked(
    lost: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ParquetStore(lost)
    row = store.read(CONTRACTS).slice(0, 1).to_pylist()[0]
    store.upsert(CONTRACTS, table(CONTRACTS, [{**row, "symbol": "IBM", "session": date(2023, 6, 1)}]))
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(lost))
    assert run(["universe", "restore"]) == 0
    said = capsys.readouterr().out
    assert "Restored: AAPL, SPY." in said and "Not kept: IBM, last collected in session 2023-06-01. " in said


def test_a_state_database_older_than_the_lake_is_told(lake: Path, capsys: Output) -> None:
    ParquetStore(lake).upsert(
        COVERAGE, table(COVERAGE, [covered(date(2023, 6, 1), symbol="AAPL") | {"request_id": 300}])
    )
    (said,) = [sentence for sentence in wrong(capsys) if "state database" in sentence]
    assert "is older than the lake (its last request is 97, the lake has rows of request 300)" in said
    assert run(["universe", "restore"]) == 0
    assert [sentence for sentence in wrong(capsys) if "state database" in sentence] == []
    with sqlite3.connect(lake / "state.db") as state:
        assert state.execute("select ids_above from lake").fetchall() == [(300,)]


@pytest.mark.parametrize("left", [None, b"", b'{"schema_version": 2, "lake_id'])
def test_a_lost_or_damaged_lake_json_is_red_and_rebuilt(lake: Path, capsys: Output, left: bytes | None) -> None:
    whole = json.loads((lake / "lake.json").read_text())
    (lake / "lake.json").unlink()
    if left is not None:
        (lake / "lake.json").write_bytes(left)
    for command in (["status", "--no-probe"], ["update", "AAPL"], ["universe", "list"]):
        capsys.readouterr()
        assert run(command) == 1
        said = capsys.readouterr().err
        assert (
            str(lake / "lake.json") in said
            and "trading-assets rebuild-identity" in said
            and len(said.splitlines()) == 1
        )
    assert run(["rebuild-identity"]) == 0
    assert capsys.readouterr().out == f"{lake / 'lake.json'}: lake {whole['lake_id'][:8]} of simulated/generated/42.\n"
    assert json.loads((lake / "lake.json").read_text()) == whole
    assert wrong(capsys) == []
    assert run(["rebuild-identity"]) == 0, "what is whole stays"
    assert json.loads((lake / "lake.json").read_text()) == whole


def test_lake_json_of_a_lake_without_an_id_is_rebuilt_from_its_only_broker(
    folder: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_NOW", PLAIN_NOW.isoformat())
    copy_of(PLAIN, folder)
    (folder / "lake.json").unlink()
    assert any("lake.json is missing" in sentence for sentence in wrong(capsys))
    assert run(["rebuild-identity"]) == 0
    rebuilt = json.loads((folder / "lake.json").read_text())
    before = json.loads((PLAIN / "lake.json").read_text())
    assert (rebuilt["identity"], rebuilt["periods"], rebuilt["schema_version"]) == (
        before["identity"],
        before["periods"],
        2,
    )
    assert rebuilt["lake_id"] and [
        path.name for path in (folder / "equity_bars").iterdir() if path.name.startswith("1_")
    ]
    assert query(folder, "select count(*) as n from equity_bars")["n"].to_pylist() == [96]


def test_lake_json_is_not_rebuilt_from_the_state_database_of_another_lake(
    lake: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = copy_of(lake, lake.with_name("other"))
    (other / "lake.json").unlink()
    with sqlite3.connect(other / "state.db") as state:
        state.execute("update requests set symbol = 'IBM' where symbol = 'SPY'")
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(other))
    capsys.readouterr()
    assert run(["rebuild-identity"]) == 1
    said = capsys.readouterr().err
    assert "has rows of SPY from request" in said and "that request is one for IBM: they do not belong together" in said
    with sqlite3.connect(other / "state.db") as state:
        state.execute("delete from requests where id > 50")
    assert run(["rebuild-identity"]) == 1 and not (other / "lake.json").exists()
    shutil.rmtree(other)
