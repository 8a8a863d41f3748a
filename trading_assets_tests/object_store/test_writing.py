"""Writers of several machines on one object; answers that are lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from trading_assets.errors import ObjectStoreError
from trading_assets.repositories import LakeIdentity, ParquetStore, connect, query
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.repositories.store import UpsertCounts
from trading_assets_tests.killing.forks import ForkServer, answer
from trading_assets_tests.object_store.conftest import folder_of
from trading_assets_tests.object_store.server import LosingProxy, environment, use
from trading_assets_tests.repositories.frames import NOON, bar, table
from trading_assets_tests.repositories.writer import version

pytestmark = pytest.mark.slow

SESSION = date(2014, 1, 2)
FILE = "equity_bars/1_day/2014.parquet"
WRITERS, ROUNDS = 8, 5

Machine = Callable[[str], Path]


def batch(writer: int, number: int) -> pa.Table:
    """A bar of its own, and one that every batch restates, with another answer each time."""
    request = 100 * writer + number
    about = {"collected_at": NOON + timedelta(seconds=request), "request_id": request}
    return table(
        EQUITY_BARS,
        [
            bar(SESSION, 50.0, symbol=f"S{request:03d}", **about),
            bar(SESSION, 100.0 + request, symbol="SHARED", **about),
        ],
    )


def write_batches(talk: Connection, folder: Path, url: str, variables: dict[str, str], writer: int) -> None:
    """Write the batches of a writer on a machine of its own; say the counts."""
    use(variables)
    store, counts = ParquetStore(folder_of(folder, url)), UpsertCounts()
    for number in range(1, ROUNDS + 1):
        counts += store.upsert(EQUITY_BARS, batch(writer, number))
    answer(talk, (counts.inserted, counts.updated, counts.unchanged))


def write_versions(talk: Connection, folder: Path, url: str, variables: dict[str, str], last: int) -> None:
    """Replace the file by version after version."""
    use(variables)
    store = ParquetStore(folder_of(folder, url))
    for number in range(1, last + 1):
        store.upsert(EQUITY_BARS, version(number, 3))
    answer(talk, "written")


def test_eight_machines_that_write_one_object_lose_no_row_and_their_counts_are_exact(
    forks: ForkServer, machine: Machine, server: str, store_url: str, tmp_path: Path
) -> None:
    variables = environment(server)
    writers = [
        forks.talking(write_batches, tmp_path / f"machine{number}", store_url, variables, number)
        for number in range(1, WRITERS + 1)
    ]
    counts = [writer.hear() for writer in writers]
    assert all(writer.wait().code == 0 for writer in writers)

    written = {100 * writer + number for writer in range(1, WRITERS + 1) for number in range(1, ROUNDS + 1)}
    store = ParquetStore(machine("reader"))
    rows, revised = store.read(EQUITY_BARS).to_pylist(), store.read_revisions(EQUITY_BARS).to_pylist()
    assert {row["request_id"] for row in rows if row["symbol"] != "SHARED"} == written
    assert [row["request_id"] for row in rows if row["symbol"] == "SHARED"] == [max(written)]
    assert sorted(row["request_id"] for row in revised) == sorted(written - {max(written)})
    assert sum(inserted for inserted, _, _ in counts) == len(written) + 1
    assert sum(map(sum, counts)) == 2 * len(written)


def test_a_reader_beside_a_hundred_replacements_sees_whole_versions_only(
    forks: ForkServer, machine: Machine, server: str, store_url: str, tmp_path: Path
) -> None:
    folder, seen = machine("reader"), [0]
    writer = forks.talking(write_versions, tmp_path / "writer", store_url, environment(server), 100)
    rows = version(1, 3).num_rows
    while seen[-1] < 100:
        (found,) = query(
            folder, "select count(*) n, min(request_id) least, max(request_id) most from equity_bars"
        ).to_pylist()
        assert (found["n"], found["least"]) in ((0, None), (rows, found["most"]))
        seen.append(found["most"] or 0)
    assert seen == sorted(seen)
    assert len(set(seen)) > 3, "the reader and the writer worked at the same time"
    assert writer.wait().code == 0
    assert connect(folder).sql("select distinct request_id from equity_bars").fetchall() == [(100,)]


@pytest.fixture
def proxy(server: str, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LosingProxy]:
    """What the lake finds in place of the server."""
    found = LosingProxy(server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.endpoint)
    yield found
    found.close()


@pytest.mark.parametrize("what", ["lose_answers", "lose_requests"])
@pytest.mark.parametrize("of", [f"/{FILE}", f"/revisions/{FILE}", "/lake.json"])
def test_a_write_whose_answer_is_lost_changes_nothing_twice(
    machine: Machine, proxy: LosingProxy, store_url: str, what: str, of: str
) -> None:
    store = ParquetStore(machine("one"))
    if of != "/lake.json":
        store.upsert(EQUITY_BARS, version(1))
    getattr(proxy, what)(1, f"{store_url.rpartition('/')[2]}{of}")
    counts = store.upsert(EQUITY_BARS, version(2))
    assert len(proxy.lost) == 1
    new = of == "/lake.json"
    assert (counts.inserted, counts.updated, counts.unchanged) == ((2440, 0, 0) if new else (0, 2440, 0))

    other = ParquetStore(machine("another"))
    assert other.read(EQUITY_BARS).equals(version(2))
    assert other.read_revisions(EQUITY_BARS).num_rows == (0 if new else 2440)
    assert LakeIdentity(machine("another")).periods() == {"equity_bars": EQUITY_BARS.period}


def test_what_is_withdrawn_or_renamed_without_an_answer_is_counted_once(
    machine: Machine, proxy: LosingProxy, store_url: str
) -> None:
    store = ParquetStore(machine("one"))
    store.upsert(EQUITY_BARS, version(1))
    prefix = store_url.rpartition("/")[2]
    proxy.lose_answers(1, f"{prefix}/{FILE}")
    assert store.relabel(EQUITY_BARS, "S01", "NEW") == 61
    proxy.lose_answers(1, f"{prefix}/{FILE}")
    assert store.withdraw(EQUITY_BARS, where=pads.field("symbol") == "NEW", at=NOON) == 61
    assert len(proxy.lost) == 2
    assert (store.read(EQUITY_BARS).num_rows, store.read_revisions(EQUITY_BARS).num_rows) == (2440 - 61, 61)


def test_a_write_whose_answer_is_lost_and_that_another_machine_has_replaced_is_counted_once(
    machine: Machine, proxy: LosingProxy, server: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ParquetStore(machine("one"))
    one.upsert(EQUITY_BARS, batch(1, 1))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    other = ParquetStore(machine("another"))
    other.read(EQUITY_BARS)  # its connections do not go through the proxy

    lost: list[UpsertCounts] = []
    passed_on = proxy.loses_answer

    def lose_answer(line: str) -> bool:
        if not passed_on(line):
            return False
        lost.append(other.upsert(EQUITY_BARS, batch(2, 1)))
        return True

    monkeypatch.setattr(proxy, "loses_answer", lose_answer)
    proxy.lose_answers(1, f"{store_url.rpartition('/')[2]}/{FILE}")
    counts = one.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(SESSION, symbol="MINE", request_id=7)]))
    assert len(lost) == 1
    assert (counts.inserted, counts.updated, counts.unchanged) == (1, 0, 0)
    assert set(other.read(EQUITY_BARS)["symbol"].to_pylist()) == {"MINE", "S101", "S201", "SHARED"}


def test_rows_that_are_withdrawn_are_gone_on_every_machine_and_a_file_without_rows_stays(machine: Machine) -> None:
    one, other = ParquetStore(machine("one")), ParquetStore(machine("another"))
    one.upsert(EQUITY_BARS, version(1))
    assert other.read(EQUITY_BARS).num_rows == 2440
    assert one.withdraw(EQUITY_BARS, where=pads.field("request_id") == 1, at=NOON) == 2440
    assert [path.name for path in other.files(EQUITY_BARS)] == ["2014.parquet"]
    assert other.read(EQUITY_BARS).num_rows == 0
    assert other.read_revisions(EQUITY_BARS).num_rows == 2440


def test_a_symbol_that_is_renamed_has_its_new_name_on_every_machine(machine: Machine) -> None:
    one, other = ParquetStore(machine("one")), ParquetStore(machine("another"))
    one.upsert(EQUITY_BARS, batch(1, 1))
    one.upsert(EQUITY_BARS, batch(1, 2))
    other.read(EQUITY_BARS)
    assert one.relabel(EQUITY_BARS, "SHARED", "NEW") == 1
    assert set(other.read(EQUITY_BARS)["symbol"].to_pylist()) == {"S101", "S102", "NEW"}
    assert other.read_revisions(EQUITY_BARS)["symbol"].to_pylist() == ["NEW"]


def test_two_identities_are_never_mixed_and_one_lake_has_one_id(machine: Machine) -> None:
    from trading_assets.errors import IdentityMismatch

    one, other = LakeIdentity(machine("one")), LakeIdentity(machine("another"))
    assert other.read() is None
    one.pin("simulated generated seed 42")
    with pytest.raises(IdentityMismatch, match="are not mixed"):
        other.pin("live U1")
    assert one.held() == other.held()


def test_what_is_not_of_the_lake_below_the_prefix_is_not_copied(machine: Machine, store_url: str, server: str) -> None:
    import obstore
    from obstore.store import S3Store

    folder = machine("one")
    ParquetStore(folder).upsert(EQUITY_BARS, version(1))
    beside = S3Store("lake", prefix=store_url.rpartition("/")[2], client_options={"allow_http": True})
    for name in ("state.db", "equity_bars/1_day/2014 (1).parquet", "other/2014.parquet", "equity_bars/2014.parquet"):
        obstore.put(beside, name, b"x")
    assert query(folder, "select count(*) n from equity_bars")["n"].to_pylist() == [2440]
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")) == [FILE]
    assert not (folder / "state.db").exists()


def test_an_object_that_was_deleted_is_gone_from_the_copies_too(machine: Machine, store_url: str) -> None:
    import obstore
    from obstore.store import S3Store

    folder = machine("one")
    ParquetStore(folder).upsert(EQUITY_BARS, version(1))
    place = S3Store("lake", prefix=store_url.rpartition("/")[2], client_options={"allow_http": True})
    obstore.delete(place, FILE)
    assert query(folder, "select count(*) n from equity_bars")["n"].to_pylist() == [0]


def test_a_lake_that_is_larger_than_what_may_be_copied_is_refused_before_it_is(
    machine: Machine, store_url: str, tmp_path: Path
) -> None:
    from trading_assets.folders import LakeLocation, set_lake_location

    ParquetStore(machine("one")).upsert(EQUITY_BARS, version(1))
    small = tmp_path / "small"
    set_lake_location(small, LakeLocation(store_url, 1000))
    with pytest.raises(ObjectStoreError, match=r"may hold copies of.*TRADING_ASSETS_LAKE_COPY_GIB"):
        query(small, "select 1")
    assert not list(small.rglob("*.parquet"))
