"""Answers that a killed run left in the journal."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.broker.requests import ContractDetailsRequest
from trading_assets.collecting.archive import Archive, wall_clock
from trading_assets.collecting.decode import contract_rows
from trading_assets.instrument import Instrument
from trading_assets.repositories.schemas import CONTRACTS
from trading_assets.settings import Settings
from trading_assets_tests.collecting.decode.answers import contract
from trading_assets_tests.journals import mark_done


def test_in_a_replay_the_rows_of_an_answer_have_the_pinned_instant(tmp_path: Path) -> None:
    pinned = datetime(2014, 6, 6, 20, 30, tzinfo=UTC)
    with Archive(Settings(data_dir=tmp_path, now=pinned)) as archive:
        request = ContractDetailsRequest(Instrument("AAPL"), date(2014, 6, 6))
        (claim,) = archive.journal.claim([request], wall_clock())
        record = contract(symbol="AAPL", sec_type="STK", currency="USD", con_id=265598)
        mark_done(archive.journal, claim.request_id, Outcome(OutcomeKind.COMPLETE), {"contracts": [record]})
        [answer] = archive.recovered([CONTRACTS.name])
    [row] = contract_rows([answer]).to_pylist()
    assert row["verified_at"] == row["collected_at"] == pinned
