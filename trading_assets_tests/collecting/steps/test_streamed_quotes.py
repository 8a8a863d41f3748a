"""Contracts that a recorder streams are taken from the live store: no quote of them is requested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import CollectionReport
from trading_assets.collecting.steps.chain import Chain
from trading_assets.collecting.steps.streamed_quotes import take_streamed
from trading_assets.instrument import Instrument
from trading_assets.lineage import LineageQueryEngine, LineageTracker
from trading_assets.lineage.records import Origin
from trading_assets.repositories.frame_checks import validated
from trading_assets.repositories.live.merging import merge_session
from trading_assets.repositories.live_schema import LIVE_QUOTES
from trading_assets.repositories.schemas import OPTION_CHAINS
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.streaming.health import StreamHealth, StreamState
from trading_assets.streaming.registry import LiveRegistry
from trading_assets.streaming.store import LiveWriter
from trading_assets.streaming.updates import QuoteUpdate
from trading_assets_tests.repositories.frames import NOON, chain_row, table
from trading_assets_tests.rewriting import Rewriting, collect, rows, settings_for
from trading_assets_tests.streaming.live_rows import quote

OPEN = datetime(2024, 6, 3, 15, 0, tzinfo=UTC)
SESSION = date(2024, 6, 3)
FRESH = OPEN - timedelta(seconds=30)

pytestmark = pytest.mark.timeout(600)

CHOSEN = "select * from option_chains where selected order by con_id"


def streamed(con_id: int, at: datetime = FRESH, **values: Any) -> QuoteUpdate:
    """An update of a stream with all that a quote of an option should hold."""
    whole = {"greeks_at": at, "broker_gamma": 0.01, "broker_vega": 0.1, "broker_theta": -0.1, "open_interest": 7.0}
    return quote(1, con_id, SESSION, "AAPL")._replace(received_at=at, **whole | values)


def live(con_id: int) -> StreamHealth:
    """The health of a stream that is live."""
    return StreamHealth(f"stream-{con_id}", con_id, "AAPL", "AAPL", "quote", StreamState.LIVE, OPEN)


def record(settings: Settings, *updates: QuoteUpdate) -> None:
    writer = LiveWriter(settings.data_dir, clock=settings.clock)
    writer.append(updates)
    writer.close()


def test_the_snapshot_takes_streamed_contracts_from_the_store(tmp_path: Path) -> None:
    with Simulator(GeneratedMarket(), now=OPEN) as simulator, Rewriting(simulator.port) as wire:
        asked, streaming = (settings_for(tmp_path / name, wire.port, OPEN) for name in ("asked", "streaming"))
        collect(asked, ["AAPL"], steps="ch")
        chosen = rows(asked, CHOSEN)
        one, two, quiet, old, lacking, frozen, *others = (row["con_id"] for row in chosen)
        assert others
        collect(streaming, ["AAPL"], steps="c")
        underlying, spot = chosen[0]["under_con_id"], chosen[0]["underlying_price"]
        record(
            streaming,
            streamed(one, bid=1.25),
            streamed(two, bid=2.5),
            streamed(quiet, OPEN - timedelta(seconds=299), bid=3.5),
            streamed(old, OPEN - timedelta(seconds=61)),
            streamed(lacking, broker_delta=None),
            streamed(frozen, market_data_type=2),
            streamed(underlying, bid=spot, ask=spot),
        )
        wire.frames.clear()
        registry = LiveRegistry(streaming.state_url)
        registry.take()
        registry.publish([live(quiet)])
        report = collect(streaming, ["AAPL"], steps="h")["h"]
        registry.close()
        requested = {int(frame[3]) for frame in wire.asked(1)}
    stored = {row["con_id"]: row for row in rows(streaming, CHOSEN)}
    assert {one, two, quiet, underlying}.isdisjoint(requested)
    assert requested == stored.keys() - {one, two, quiet} and {old, lacking, frozen} <= requested
    assert [stored[con_id]["bid"] for con_id in (one, two, quiet)] == [1.25, 2.5, 3.5]
    assert {stored[con_id]["quoted_at"] for con_id in (one, two)} == {FRESH}
    assert {(stored[con_id]["request_id"], stored[con_id]["quote_outcome"]) for con_id in (one, two)} == {
        (0, "complete")
    }
    assert all(stored[con_id]["request_id"] for con_id in others if con_id in stored)
    assert report.complete and "AAPL: 3 quotes were taken from running streams, not requested." in report.notes
    engine = LineageQueryEngine(LineageTracker(settings=streaming))
    (lineage,) = engine.rows("option_chains", session=SESSION, contract=one)
    assert (lineage.origin, lineage.request) == (Origin.STREAMED, None) and f"stream-{one}" in lineage.explanation
    merge_session(streaming.data_dir, LIVE_QUOTES, SESSION)
    (update,) = engine.rows("live_quotes", session=SESSION, contract=one)
    assert update.origin is Origin.STREAMED and f"stream-{one}" in update.explanation
    assert [found.origin for found in engine.rows("option_chains", session=SESSION, contract=two)] == [Origin.STREAMED]
    (other,) = engine.rows("option_chains", session=SESSION, contract=others[0])
    assert other.origin is Origin.ANSWER


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Callable[..., dict[int, dict[str, Any]]]]:
    """What a chain takes of updates at an instant, by contract: rows of `option_chains`. All of them are seen now. The
    lake has rows without quotes of the session, collected at `listed_at`."""

    def take(now: datetime, *updates: QuoteUpdate, listed_at: datetime = NOON) -> dict[int, dict[str, Any]]:
        settings = Settings(data_dir=tmp_path, now=now)
        record(settings, *updates)
        registry.take()
        registry.publish([live(update.con_id) for update in updates])
        con_ids = {update.con_id for update in updates}
        given = {"selected": True, "collected_at": listed_at}
        listed = table(OPTION_CHAINS, [{**chain_row(SESSION, con_id=each), **given} for each in con_ids])
        chain = Chain(Instrument("AAPL", con_id=1), listed, table=listed, selected=con_ids)
        with Archive(settings) as archive:
            take_streamed(archive, [chain], SESSION, CollectionReport(OPTION_CHAINS.name, SESSION))
        return {row["con_id"]: row for row in chain.rows(chain.quoted).to_pylist()}

    registry = LiveRegistry(Settings(data_dir=tmp_path).state_url)
    yield take
    registry.close()


def test_what_is_old_or_impossible_is_requested(taken: Any) -> None:
    found = taken(
        OPEN,
        streamed(1, OPEN - timedelta(seconds=299)),
        streamed(2, OPEN - timedelta(seconds=301)),
        streamed(3, greeks_at=OPEN - timedelta(seconds=301)),
        streamed(4, broker_delta=1.5),
        streamed(5, bid=-1.0),
    )
    assert found.keys() == {1}
    assert validated(OPTION_CHAINS, pa.Table.from_pylist([*found.values()], schema=OPTION_CHAINS.schema)).num_rows == 1


def test_a_quote_that_the_row_in_the_lake_would_outlive_is_requested(taken: Any) -> None:
    before, after = streamed(1, OPEN - timedelta(seconds=30)), streamed(2, OPEN - timedelta(seconds=10))
    assert taken(OPEN, before, after, listed_at=OPEN - timedelta(seconds=20)).keys() == {2}


def test_a_quote_of_before_the_open_is_none_of_the_session(taken: Any) -> None:
    opened = calendar().opens_at(SESSION)
    early, later = streamed(1, opened - timedelta(seconds=20)), streamed(2, opened + timedelta(seconds=5))
    assert taken(opened + timedelta(seconds=20), early, later).keys() == {2}
