"""The journal as lineage reads it, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.broker.requests import BarsRequest, ContractDetailsRequest, OptionListingRequest, Request
from trading_assets.instrument import Instrument
from trading_assets.lineage.requests import RequestLog
from trading_assets.repositories import LakeIdentity
from trading_assets.settings import Settings
from trading_assets_tests.journals import mark_done, mark_sent

SESSION = date(2025, 11, 24)
OPTION = Instrument(
    "AAPL", "OPT", con_id=9, last_trade="20251128", strike=170.0, right="C", local_symbol="AAPL  251128C00170000"
)
ASKED: list[Request] = [
    ContractDetailsRequest(Instrument("AAPL"), SESSION),
    OptionListingRequest(Instrument("AAPL", "OPT", last_trade="20251128"), SESSION),
    BarsRequest(
        OPTION,
        SESSION,
        bar_size="8 hours",
        first_session=date(2025, 11, 20),
        end=datetime(2025, 11, 24, 21, tzinfo=UTC),
        duration="1 W",
    ),
]
ANSWER = {"bars": [[1764000000.0, 1.0, 2.0, 0.5, 1.5, 10.0, 1.2, 3]]}


@pytest.fixture
def log(tmp_path: Path, state_url: str) -> RequestLog:
    """The log of a journal with one request of each of three kinds, the last one answered."""
    settings = Settings(**{"data_dir": tmp_path, "database_url": state_url})
    LakeIdentity(tmp_path).pin("paper")
    journal = Journal(settings.state_url)
    ids = [claim.request_id for claim in journal.claim(ASKED, datetime.now(UTC), run_id="run-1")]
    mark_sent(journal, ids)
    mark_done(journal, ids[1], Outcome(OutcomeKind.COMPLETE), {"contracts": []})
    mark_done(journal, ids[2], Outcome(OutcomeKind.COMPLETE), ANSWER)
    journal.applied(ids[2:])
    journal.close()
    return RequestLog(settings)


def test_a_request_keeps_the_size_of_its_answer_after_that_was_dropped(log: RequestLog) -> None:
    (found,) = log.requests([3]).values()
    assert (found.kind, found.key, found.contract, found.bar_size) == (
        "bars",
        ASKED[2].key,
        OPTION.local_symbol,
        "8 hours",
    )
    assert (found.first_session, found.session) == (date(2025, 11, 20), SESSION)
    assert (found.outcome, found.rows, found.attempts, found.run_id) == ("complete", 1, 1, "run-1")
    assert found.answer_bytes == len(json.dumps(ANSWER, separators=(",", ":")))
    assert found.sent_at is not None and found.applied_at is not None and found.sent_at <= found.applied_at


def test_requests_are_found_by_run_kind_and_key(log: RequestLog) -> None:
    assert [one.id for one in log.of_run("run-1")] == [1, 2, 3]
    assert log.of_run("another") == []
    assert log.counts(["contract_details", "option_listing", "quote", "bars"]) == {
        "contract_details": 1,
        "option_listing": 1,
        "quote": 0,
        "bars": 1,
    }
    assert [one.id for one in log.by_keys([ASKED[1].key])] == [2]
    assert log.by_keys([ASKED[0].key]) == [], "it has no answer yet"


def test_many_ids_are_looked_up_at_once(log: RequestLog) -> None:
    assert set(log.requests(range(-5, 5000))) == {1, 2, 3}
    assert log.quarantined(range(5000)) == {}


def test_a_state_database_of_an_older_version_has_no_sizes(tmp_path: Path) -> None:
    """The column was added later: it is made at the opening, and is empty for requests from before."""
    settings = Settings(**{"data_dir": tmp_path})
    journal = Journal(settings.state_url)
    journal.claim(ASKED[:1], datetime.now(UTC))
    with journal.engine.begin() as connection:
        connection.execute(sa.text("alter table requests drop column answer_bytes"))
    journal.close()
    from trading_assets.state.engine import _created

    _created.pop(journal.engine)
    assert RequestLog(settings).requests([1])[1].answer_bytes is None
