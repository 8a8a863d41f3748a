"""A lake in an object store as its users meet it: collected, read, and refused with a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trading_assets.errors import ObjectStoreError
from trading_assets.repositories import EquityBarRepository, LakeIdentity, ParquetStore, connect, mirror, query, storage
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.universe import Universe
from trading_assets_tests.endurance.collect import by_the_steps, through_dagster
from trading_assets_tests.endurance.conftest import NOW, SYMBOL, settings_of
from trading_assets_tests.endurance.lakes import contents, difference
from trading_assets_tests.object_store.server import STRANGER, STRANGERS_SECRET, environment
from trading_assets_tests.repositories.writer import version

pytestmark = pytest.mark.slow

Machine = Callable[[str], Path]


def test_a_collection_into_an_object_store_equals_row_for_row_the_one_into_a_folder(
    store_url: str, postgresql: str, tmp_path: Path
) -> None:
    with Simulator(GeneratedMarket(), now=NOW, limits=False) as simulator:
        stored = settings_of(tmp_path / "machine", simulator, lake=store_url, database_url=postgresql)
        in_folder = settings_of(tmp_path / "folder", simulator)
        for settings in (stored, in_folder):
            Universe(settings.state_url).add([SYMBOL], now=settings.clock())
        assert through_dagster(stored, [SYMBOL])["success"]
        assert by_the_steps(in_folder, [SYMBOL])["success"]
        again = by_the_steps(stored, [SYMBOL])
        assert again["success"] and again["requests"]["sent"] == 0

    assert difference(stored.data_dir, contents(in_folder.data_dir)) == []
    assert sum(rows.num_rows for rows in contents(in_folder.data_dir).values()) > 100
    assert LakeIdentity(stored.data_dir).read() == LakeIdentity(in_folder.data_dir).read()

    another = Settings(data_dir=tmp_path / "another", lake=store_url, database_url=postgresql).data_dir
    assert not another.exists()
    count = "select count(*) as rows from option_bars"
    assert query(another, count).equals(query(in_folder.data_dir, count))
    assert connect(another).sql(count).fetchall() == connect(in_folder.data_dir).sql(count).fetchall()
    bars = [EquityBarRepository(data_dir=folder).load_symbol_data(SYMBOL) for folder in (another, in_folder.data_dir)]
    assert len(bars[0]) and bars[0].drop(columns="request_id").equals(bars[1].drop(columns="request_id"))


def test_what_one_machine_writes_the_next_query_of_another_sees_and_copies_once(machine: Machine) -> None:
    one, other = ParquetStore(machine("one")), machine("another")
    one.upsert(EQUITY_BARS, version(1))
    count = "select count(*) as rows, max(request_id) as latest from equity_bars"
    assert query(other, count).to_pylist() == [{"rows": 2440, "latest": 1}]
    copy = other / "equity_bars/1_day/2014.parquet"
    before = copy.stat()
    assert query(other, count).to_pylist() == [{"rows": 2440, "latest": 1}]
    assert copy.stat().st_ino == before.st_ino, "a copy that is of the present version is not made again"
    one.upsert(EQUITY_BARS, version(2))
    assert query(other, count).to_pylist() == [{"rows": 2440, "latest": 2}]
    assert EquityBarRepository(data_dir=other, as_of=datetime(2026, 1, 1, tzinfo=UTC)).load_symbol_data("S01").size


def test_a_copy_that_is_not_what_its_note_says_is_made_again(machine: Machine) -> None:
    one, other = ParquetStore(machine("one")), machine("another")
    one.upsert(EQUITY_BARS, version(1))
    count = "select count(*) as rows from equity_bars"
    assert query(other, count)["rows"].to_pylist() == [2440]
    for spoil in (lambda copy: copy.write_bytes(b"half of it"), lambda copy: copy.unlink()):
        spoil(other / "equity_bars/1_day/2014.parquet")
        assert query(other, count)["rows"].to_pylist() == [2440]


def test_a_copy_that_a_power_failure_spoiled_is_made_again_after_the_boot(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ParquetStore(machine("one")).upsert(EQUITY_BARS, version(1))
    count = "select count(*) as rows from equity_bars"
    spoiled, whole = (machine(name) / "equity_bars/1_day/2014.parquet" for name in ("spoiled", "whole"))
    inodes = {}
    for copy in (spoiled, whole):
        assert query(copy.parents[2], count)["rows"].to_pylist() == [2440]
        inodes[copy] = copy.stat().st_ino
    status = spoiled.stat()
    with spoiled.open("r+b") as file:
        file.write(bytes(status.st_size))
    os.utime(spoiled, ns=(status.st_atime_ns, status.st_mtime_ns))

    monkeypatch.setattr(mirror, "boot_id", lambda: "the next boot")
    monkeypatch.setattr(storage, "_mirrors", {})  # as in a new process
    for copy in (spoiled, whole):
        assert query(copy.parents[2], count)["rows"].to_pylist() == [2440]
        assert (copy.stat().st_ino == inodes[copy]) is (copy is whole)


FORKED = """
import os, sys
from trading_assets.repositories import query
print(query(sys.argv[1], "select count(*) n from equity_bars")["n"].to_pylist(), flush=True)
child = os.fork()
if not child:
    try:
        query(sys.argv[1], "select 1")
    except Exception as error:
        print(error, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_process_that_was_forked_from_one_with_connections_is_refused_with_a_sentence(machine: Machine) -> None:
    folder = machine("one")
    ParquetStore(folder).upsert(EQUITY_BARS, version(1))
    said = subprocess.run([sys.executable, "-c", FORKED, str(folder)], capture_output=True, text=True, check=True)
    count, sentence = said.stdout.splitlines()
    assert count == "[2440]" and sentence.startswith("This process was forked from one that uses the object store")


def test_each_trouble_with_the_store_is_one_sentence_that_says_what_to_do(
    server: str, store_url: str, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trading_assets_tests.object_store.conftest import folder_of

    def said(folder: Path) -> str:
        with pytest.raises(ObjectStoreError) as reading:
            query(folder, "select 1")
        with pytest.raises(ObjectStoreError) as writing:
            ParquetStore(folder).upsert(EQUITY_BARS, version(1))
        assert str(reading.value).partition(" (")[0] == str(writing.value).partition(" (")[0]
        return str(reading.value)

    absent = said(folder_of(tmp_path / "absent", "s3://no-such-bucket/lake"))
    assert absent.startswith("There is no bucket no-such-bucket, in which TRADING_ASSETS_LAKE")

    for name, value in environment(server, STRANGER, STRANGERS_SECRET).items():
        monkeypatch.setenv(name, value)
    denied = said(machine("denied"))
    assert denied.startswith(f"The object store denies access to {store_url}: see that AWS_ACCESS_KEY_ID")
    assert STRANGER not in denied and STRANGERS_SECRET not in denied

    for name, value in environment("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    unavailable = said(machine("unavailable"))
    assert unavailable.startswith(f"The object store of {store_url} is unavailable: see that it runs")
