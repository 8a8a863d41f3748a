"""A state database serves one lake: pinned, adopted, completed or refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.journal import Journal
from trading_assets.broker.requests import BarsRequest
from trading_assets.errors import DamagedIdentity, LostIdentity, StateMismatch
from trading_assets.instrument import Instrument
from trading_assets.repositories import LakeIdentity, ParquetStore
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets.state.pin import pinned
from trading_assets.universe import Universe
from trading_assets_tests.lakes import PLAIN, copy_of
from trading_assets_tests.repositories.frames import bar, table

ROOT = Path(__file__).parents[2]
DAY = date(2014, 6, 6)


def settings_of(folder: Path, **changes: Any) -> Settings:
    return Settings(data_dir=folder, **changes)


def opened(settings: Settings) -> dict[str, Any]:
    """What the state database of the settings knows of its lake, once it is opened."""
    row = pinned(connect_state(settings.state_url))
    assert row is not None
    return dict(row._mapping)


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "lake.json").read_text())
    return found


def next_id(settings: Settings) -> int:
    """The id that the next request gets."""
    journal = Journal(settings.state_url)
    stock, end = Instrument("AAPL", "STK", "SMART", "USD"), datetime(2014, 6, 7, tzinfo=UTC)
    request = BarsRequest(stock, session=DAY, bar_size="1 day", first_session=DAY, end=end, duration="1 D")
    (claim,) = journal.claim([request], datetime.now(UTC))
    journal.release([claim.request_id])
    journal.close()
    return claim.request_id


def test_a_new_folder_gets_an_id_that_stays(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "lake")
    row = opened(settings)
    assert document(tmp_path / "lake") == {"lake_id": row["lake_id"], "schema_version": 2} and len(row["lake_id"]) == 32
    assert (row["identity"], row["ids_above"], row["restore_due"]) == ("", 0, False)
    assert opened(settings_of(tmp_path / "other"))["lake_id"] != row["lake_id"]
    LakeIdentity(tmp_path / "lake").pin("paper")
    ParquetStore(tmp_path / "lake").upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAY)]))
    later = opened(settings)
    assert later == {
        **row,
        "identity": "paper",
        "periods": '{"equity_bars": "year"}',
    }, "what lake.json says is kept, so that it can be rebuilt"
    assert next_id(settings) == 1


def test_a_lake_from_before_there_were_ids_is_adopted(tmp_path: Path) -> None:
    folder = copy_of(PLAIN, tmp_path / "lake")
    row = opened(settings_of(folder))
    assert (row["identity"], row["restore_due"], row["ids_above"]) == ("simulated/generated/42", False, 97)
    assert document(folder)["lake_id"] == row["lake_id"]
    assert [entry.symbol for entry in Universe(settings_of(folder).state_url).entries()] == ["AAPL", "SPY"]
    assert next_id(settings_of(folder)) == 98


ADOPT = """
import sys
from pathlib import Path
from trading_assets.state.pin import pinned
from trading_assets.state import connect_state
from trading_assets.settings import Settings
settings = Settings(data_dir=Path(sys.argv[1]))
connect_state(str(settings.state_url))
sys.stdin.readline()
sys.stdout.write(pinned(connect_state(settings.state_url)).lake_id)
"""


@pytest.mark.slow
def test_processes_that_adopt_it_at_once_agree_on_one_id(tmp_path: Path) -> None:
    folder = copy_of(PLAIN, tmp_path / "lake")
    command = [sys.executable, "-c", ADOPT, str(folder)]
    started = [
        subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)
    ]
    ids = {process.communicate("go\n", timeout=300)[0] for process in started}
    assert ids == {document(folder)["lake_id"]}


def test_the_state_database_of_another_lake_is_refused(tmp_path: Path) -> None:
    one, other = settings_of(tmp_path / "one"), settings_of(tmp_path / "other")
    for settings, identity in ((one, "live"), (other, "paper")):
        opened(settings)
        LakeIdentity(settings.data_dir).pin(identity)
        opened(settings)
    shutil.copy(one.data_dir / "lake.json", other.data_dir / "lake.json")
    with pytest.raises(StateMismatch) as refusal:
        connect_state(other.state_url)
    said = str(refusal.value)
    assert f"The state database {other.data_dir / 'state.db'} belongs to lake {opened_id(other)} of `paper`" in said
    assert (
        f"{other.data_dir} holds lake {document(one.data_dir)['lake_id'][:8]} of `live`: one state database serves one"
        " lake." in said
    )
    assert "Put the files of one lake together again from a backup" in said
    for use in (Universe(other.state_url).active, lambda: Universe(other.state_url).add(["AAPL"])):
        with pytest.raises(StateMismatch):
            use()


def opened_id(settings: Settings) -> str:
    row = pinned(connect_state(str(settings.state_url)))
    assert row is not None
    return str(row.lake_id[:8])


def test_a_second_lake_on_one_server_is_refused(tmp_path: Path, postgresql: str) -> None:
    first = opened(settings_of(tmp_path / "first", database_url=postgresql))
    assert opened(settings_of(tmp_path / "first", database_url=postgresql)) == first
    for made in (False, True):
        with pytest.raises(
            StateMismatch,
            match=r"one state database serves one lake\. Set TRADING_ASSETS_DATA_DIR and TRADING_ASSETS_DATABASE_URL",
        ):
            opened(settings_of(tmp_path / f"second{made}", database_url=postgresql))
        opened(settings_of(tmp_path / "secondTrue"))  # a lake of its own
    with pytest.raises(StateMismatch, match="belongs to lake"):
        opened(settings_of(copy_of(PLAIN, tmp_path / "older"), database_url=postgresql))
    assert opened(settings_of(tmp_path / "first", database_url=postgresql)) == first


def test_of_two_older_lakes_of_one_account_on_one_server_the_first_is_adopted(tmp_path: Path, postgresql: str) -> None:
    first, second = (
        settings_of(copy_of(PLAIN, tmp_path / name), database_url=postgresql) for name in ("first", "second")
    )
    assert opened(first)["identity"] == "simulated/generated/42"
    with pytest.raises(
        StateMismatch,
        match=r"belongs to lake \w{8} of `simulated/generated/42`, and .*second holds lake without an id of",
    ):
        opened(second)
    assert (
        "lake_id" not in document(second.data_dir) and opened(first)["lake_id"] == document(first.data_dir)["lake_id"]
    )


def test_after_the_loss_of_the_state_database_ids_go_on_above_those_in_the_lake(tmp_path: Path) -> None:
    folder = copy_of(PLAIN, tmp_path / "lake")
    connect_state(settings_of(folder).state_url).dispose()
    before = document(folder)["lake_id"]
    lost = copy_of(folder, tmp_path / "lost")
    for file in lost.glob("state.db*"):
        file.unlink()
    row = opened(settings_of(lost))
    assert (row["lake_id"], row["ids_above"], row["restore_due"]) == (before, 97, True)
    assert next_id(settings_of(lost)) == 98


def test_ids_of_revisions_and_of_those_who_superseded_them_count_too(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    for number, request_id in enumerate((3, 9, 5)):
        when = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=number)
        store.upsert(
            EQUITY_BARS, table(EQUITY_BARS, [bar(DAY, 100.0 + number, collected_at=when) | {"request_id": request_id}])
        )
    assert next_id(settings_of(tmp_path)) == 10


def test_rows_that_a_user_gave_are_no_lost_state(tmp_path: Path) -> None:
    ParquetStore(tmp_path).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(DAY) | {"request_id": 0}]))
    assert opened(settings_of(tmp_path))["restore_due"] is False


def unlink(file: Path) -> None:
    file.unlink()


def garble(file: Path) -> None:
    file.write_text("{")


@pytest.mark.parametrize(("harm", "error"), [(unlink, LostIdentity), (garble, DamagedIdentity)])
def test_a_lost_identity_is_refused_with_the_remedy_also_by_a_process_that_had_it(
    tmp_path: Path, harm: Callable[[Path], None], error: type[ValueError]
) -> None:
    folder = copy_of(PLAIN, tmp_path / "lake")
    opened(settings_of(folder))
    harm(folder / "lake.json")
    for _ in range(2):
        with pytest.raises(
            error,
            match=(r"Put it back from a backup, or rebuild it from the state database with .*rebuild_identity"),
        ):
            connect_state(settings_of(folder).state_url)


def test_an_older_lake_json_put_back_is_completed(tmp_path: Path) -> None:
    folder = copy_of(PLAIN, tmp_path / "lake")
    before = opened(settings_of(folder))
    ParquetStore(folder).read(EQUITY_BARS)
    shutil.copy(PLAIN / "lake.json", folder / "lake.json")
    assert opened(settings_of(folder)) == before
    assert document(folder)["lake_id"] == before["lake_id"] and document(folder)["identity"] == "simulated/generated/42"


def test_a_folder_that_holds_nothing_but_its_state_database_begins_again(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    before = opened(settings)
    (tmp_path / "lake.json").unlink()
    assert opened(settings) == before and document(tmp_path)["lake_id"] == before["lake_id"]


def test_data_without_lake_json_and_without_a_pin_can_be_looked_at_only(tmp_path: Path) -> None:
    folder = copy_of(PLAIN, tmp_path / "lake")
    (folder / "lake.json").unlink()
    engine = connect_state(settings_of(folder).state_url)
    assert pinned(engine) is None and not (folder / "lake.json").exists()
    with pytest.raises(ValueError, match="does not say whose"):
        LakeIdentity(folder).pin("simulated/generated/42")


def test_a_url_alone_belongs_to_no_folder(tmp_path: Path) -> None:
    engine = connect_state(f"sqlite:///{tmp_path / 'state.db'}")
    assert pinned(engine) is None and [path.name for path in tmp_path.glob("*.json")] == []
