"""The metrics as Prometheus reads them over HTTP, against `status`, SQL and the lake they are read from."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import uvicorn
from prometheus_client.parser import text_string_to_metric_families

from trading_assets.broker.breaker_store import DatabaseStore
from trading_assets.broker.journal import Journal
from trading_assets.monitoring.alerts import Alerts
from trading_assets.monitoring.alerts.kinds import AlertType, Issue
from trading_assets.monitoring.prometheus import families as f
from trading_assets.monitoring.prometheus import journal_totals
from trading_assets.monitoring.prometheus.exposition import Exposition
from trading_assets.monitoring.prometheus.families import FAMILIES, PREFIX
from trading_assets.monitoring.status import platform_status
from trading_assets.reliability import CircuitBreaker
from trading_assets.repositories.catalog import query
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS, OPTION_CHAINS
from trading_assets.resources.instance import dagster_instance
from trading_assets.serving.metrics_page import MetricsPage, run_source
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.state import connect_state, read_state
from trading_assets.state.tables import requests
from trading_assets.streaming.health import StreamHealth, StreamState
from trading_assets.streaming.registry import LiveRegistry
from trading_assets_tests.lineage.collected import collected, settings_of
from trading_assets_tests.observing import eventually

Samples = dict[str, dict[tuple[str, ...], float]]
"""Values by the name of the metric without its prefix, and the values of its labels in the order of `families`."""


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def served(exposition: Exposition) -> Iterator[str]:
    """The address of a web server with this exposition."""
    config = uvicorn.Config(MetricsPage(_nothing, exposition), port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        server.should_exit = True
        thread.join(30)


def fetch(address: str) -> tuple[int, str, str]:
    """Status, content type and text."""
    try:
        with urllib.request.urlopen(address, timeout=300) as answer:
            return answer.status, answer.headers["content-type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read().decode()


def parsed(text: str) -> Samples:
    labels = {PREFIX + family.name: family.labels for family in FAMILIES}
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert set(sample.labels) == set(labels[sample.name]), sample
            values = found.setdefault(sample.name.removeprefix(PREFIX), {})
            values[tuple(sample.labels[name] for name in labels[sample.name])] = sample.value
    return found


def scrape(address: str) -> Samples:
    status, content, text = fetch(address)
    assert (status, content.partition(";")[0]) == (200, "text/plain"), text
    return parsed(text)


def health(state: StreamState, contract: str, **values: Any) -> StreamHealth:
    return StreamHealth(contract, 1, "AAPL", contract, "quote", state, datetime.now(UTC), **values)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A copy of a lake that was set up from the simulator, with an open breaker, an alert and two streams."""
    folder = tmp_path_factory.mktemp("metrics") / "lake"
    shutil.copytree(collected(), folder)
    found = settings_of(folder)
    engine = connect_state(found.state_url)
    CircuitBreaker(failure_threshold=1, store=DatabaseStore(engine)).record_failure()
    Alerts(found).reconcile(
        [Issue(AlertType.STALE_OPTION_CHAINS, "AAPL", "The chain is old.")], types=list(AlertType), now=found.clock()
    )
    registry = LiveRegistry(found.state_url)
    assert registry.take()
    registry.publish(
        [health(StreamState.LIVE, "AAPL", lag=0.25, gaps=2), health(StreamState.STALLED, "AAPL C", lag=1.5, gaps=1)]
    )
    yield found
    registry.close()


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    """The address of metrics that a busy machine is given the time for."""
    with (
        dagster_instance(settings) as instance,
        served(Exposition(settings, [run_source(instance)], wait=120.0)) as address,
    ):
        yield address


def test_every_metric_is_there_and_says_what_it_is(address: str) -> None:
    _, _, text = fetch(address)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families.keys() == {PREFIX + family.name.removesuffix(f.TOTAL) for family in FAMILIES}
    for family in FAMILIES:
        shown = families[PREFIX + family.name.removesuffix(f.TOTAL)]
        assert shown.documentation == family.help and shown.documentation.endswith(".")
        assert shown.type == ("counter" if family.name.endswith(f.TOTAL) else "gauge")
    assert "# HELP trading_assets_requests_total Requests that have ended" in text


def test_the_values_are_those_of_status_and_of_sql(address: str, settings: Settings) -> None:
    found = scrape(address)
    status = platform_status(settings, probe=False)
    with read_state(settings.state_url) as connection:
        ended = connection.execute(
            sa.select(requests.c.kind, requests.c.outcome, sa.func.count())
            .where(requests.c.state == "done")
            .group_by(requests.c.kind, requests.c.outcome)
        ).all()
        sums = connection.execute(
            sa.select(requests.c.kind, sa.func.sum(requests.c.attempt), sa.func.sum(requests.c.duration)).group_by(
                requests.c.kind
            )
        ).all()
    assert found["requests_total"] == {(kind, outcome): count for kind, outcome, count in ended}
    assert sum(found["requests_total"].values()) > 50
    assert found["requests_sent_total"] == {(kind,): sent for kind, sent, _ in sums}
    assert found["request_answer_seconds_total"] == pytest.approx({(kind,): seconds for kind, _, seconds in sums})
    assert min(found["request_waiting_seconds_total"].values()) >= 0
    assert found["journal_open_requests"] == {(): status.journal["open"]}
    assert found["journal_unapplied_answers"] == {(): status.journal["unapplied"]}
    assert found["pacing_limit"][("market_data_lines",)] == status.pacing["market_data_lines"]["limit"]
    assert found["pacing_used"][("open_history_requests",)] == status.pacing["open_history_requests"]["used"]
    conditions: dict[tuple[str, ...], float] = {}
    for row in status.freshness:
        for condition, sessions in row["conditions"].items():
            key = row["dataset"], condition
            conditions[key] = conditions.get(key, 0) + sessions
    assert found["coverage_sessions"] == conditions
    assert len(conditions) > 4
    missing = {dataset: 0.0 for dataset, _ in conditions}
    for (dataset, condition), sessions in conditions.items():
        missing[dataset] += 0 if condition in ("complete", "no_trades", "nothing_selected") else sessions
    assert found["coverage_missing_sessions"] == {(dataset,): count for dataset, count in missing.items()}
    assert found["symbols_active"] == {(): len(status.symbols)}
    assert found["clock_timestamp_seconds"] == {(): settings.clock().timestamp()}


@pytest.mark.parametrize("dataset", [EQUITY_BARS, OPTION_CHAINS, OPTION_BARS], ids=lambda one: one.name)
def test_the_newest_session_and_row_are_those_of_the_rows(address: str, settings: Settings, dataset: Any) -> None:
    found = scrape(address)
    sql = f"select max(session) as session, max(collected_at) as at from {dataset.name}"
    (row,) = query(settings.data_dir, sql).to_pylist()
    assert found["newest_session_timestamp_seconds"][dataset.name,] == calendar().opens_at(row["session"]).timestamp()
    assert found["newest_row_timestamp_seconds"][dataset.name,] == pytest.approx(row["at"].timestamp())
    files = dataset_files(settings.data_dir, dataset)
    assert found["dataset_bytes"][dataset.name,] == sum(path.stat().st_size for path in files)


def test_breaker_alerts_streams_runs_and_the_disk(address: str, settings: Settings) -> None:
    found = scrape(address)
    state = CircuitBreaker(store=DatabaseStore(connect_state(settings.state_url))).state
    assert found["breaker_state"] == {("closed",): 0, ("open",): 1, ("half_open",): 0}
    until = state.opened_at + settings.recovery_timeout
    assert found["breaker_open_until_timestamp_seconds"] == {(): pytest.approx(until)}
    assert found["alerts_open"] == {("stale_option_chains", Alerts(settings).open()[0].severity.value): 1}
    assert found["streams"] == {("live",): 1, ("stalled",): 1}
    assert found["recorder_running"] == {(): 1}
    assert (found["stream_lag_seconds"], found["stream_gaps"]) == ({(): 1.5}, {(): 3})
    assert set(found["last_run_success"].values()) == {1}
    assert found["last_run_success"].keys() == found["last_run_end_timestamp_seconds"].keys() != set()
    assert found["runs"] == {("queued",): 0, ("running",): 0}
    assert found["disk_size_bytes"][()] > found["disk_free_bytes"][()] > 0


def test_a_locked_database_takes_its_own_metrics_only_and_they_come_back(tmp_path: Path) -> None:
    shutil.copytree(collected(), tmp_path / "lake")  # one that nobody else has open
    settings = settings_of(tmp_path / "lake")
    with dagster_instance(settings) as instance:
        exposition = Exposition(settings, [run_source(instance)], wait=0.5)
        with served(exposition) as address, closing(sqlite3.connect(settings.data_dir / "state.db")) as lock:
            lock.execute("PRAGMA locking_mode=EXCLUSIVE")
            lock.execute("PRAGMA journal_mode=DELETE")
            lock.execute("BEGIN EXCLUSIVE")
            assert eventually(lambda: scrape(address)["source_up"].get(("dagster",))) == 1
            locked = scrape(address)
            assert locked["source_up"][("state",)] == 0
            assert "requests_total" not in locked and locked["last_run_success"]
            assert "# state: It has not answered for" in fetch(address)[2]
            lock.rollback()
            lock.close()
            eventually(lambda: set(scrape(address)["source_up"].values()) == {1})
            assert scrape(address)["requests_total"]


def test_where_nothing_can_be_read_the_answer_is_503_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "state.db").write_bytes(b"no database, " * 400)
    with served(Exposition(settings_of(tmp_path / "lake"))) as address:
        status, _, text = fetch(address)
    assert status == 503
    assert "# state: DatabaseError: " in text and "file is not a database" in text
    assert parsed(text)["source_up"] == {("state",): 0, ("journal",): 0, ("lake",): 0}


def test_an_archive_that_is_not_there_yet_has_metrics_and_is_not_made(tmp_path: Path) -> None:
    exposition = Exposition(settings_of(tmp_path / "lake"))
    known, text = exposition.text()
    found = parsed(text.decode())
    assert known
    assert found["symbols_active"] == found["journal_open_requests"] == {(): 0}
    assert "requests_total" not in found and "disk_free_bytes" not in found
    assert list(tmp_path.iterdir()) == []


def test_another_page_is_the_uis_and_only_reading_is_answered(tmp_path: Path) -> None:
    with served(Exposition(settings_of(tmp_path / "lake"))) as address:
        assert fetch(address.removesuffix("metrics"))[0] == 404
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(address, data=b"", timeout=300) as answer:
            pytest.fail(f"{answer.status}")
        assert fetch(address)[0] == 200


def test_the_totals_of_the_journal_are_those_of_sql_however_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_totals, "STEP", 3)
    shutil.copytree(collected(), tmp_path / "lake")
    url = settings_of(tmp_path / "lake").state_url
    engine, totals = connect_state(url), journal_totals.JournalTotals(url)

    def by_sql() -> dict[tuple[str, str], int]:
        with engine.connect() as connection:
            rows = connection.execute(
                sa.text("select kind, outcome, count(*) from requests where state = 'done' group by 1, 2")
            )
            return {(kind, outcome): count for kind, outcome, count in rows}

    def by_totals() -> dict[tuple[str, str], int]:
        return {key: one.ended for key, one in totals.read().items() if one.ended}

    def change(sql: str) -> None:
        with engine.begin() as connection:
            connection.execute(sa.text(sql))

    before = by_sql()
    assert by_totals() == before == by_totals()
    (newest,) = (Journal(url).engine.connect().execute(sa.text("select max(id) from requests")).one(),)
    columns = [column.name for column in requests.columns if column.name != "id"]
    copied = ", ".join("2e9" if name == "claimed_at" else name for name in columns)
    change(f"insert into requests ({', '.join(columns)}) select {copied} from requests where id > {newest[0] - 5}")
    assert by_totals() == by_sql() != before, "rows that are young are counted and not yet settled"
    opened = f"({newest[0] + 2}, {newest[0] + 5})"
    change(f"update requests set state = 'claimed', outcome = null, attempt = 0 where id in {opened}")
    change(f"update requests set claimed_at = 1 where id > {newest[0]}")
    assert by_totals() == by_sql()
    change(f"update requests set state = 'done', outcome = 'timeout' where id = {newest[0] + 2}")
    assert by_totals() == by_sql()
    change(f"delete from requests where id = {newest[0] + 5}")  # given up before it was sent; its id is used again
    change(f"insert into requests ({', '.join(columns)}) select {', '.join(columns)} from requests where id = 1")
    assert by_totals() == by_sql()
    engine.dispose()
