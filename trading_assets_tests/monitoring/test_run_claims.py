"""Claims on runs: of several daemons one may start a run, on each kind of state database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from trading_assets.monitoring.run_claims import CLAIM_SECONDS, claim, run_claims_table
from trading_assets.state import connect_state, write_transaction


def test_of_many_that_ask_at_once_one_may_start_it(state_url: str) -> None:
    connect_state(state_url)
    with ThreadPoolExecutor(8) as crew:
        given = list(crew.map(lambda _: claim(state_url, "daily_bars 2015-12-24"), range(8)))
    assert sorted(given) == [False] * 7 + [True]
    assert claim(state_url, "daily_bars 2015-12-28"), "another reason is another run"


def test_a_claim_of_one_that_died_is_given_again(state_url: str) -> None:
    assert claim(state_url, "gaps")
    with write_transaction(connect_state(state_url)) as connection:
        connection.execute(run_claims_table.update().values(at=run_claims_table.c.at - CLAIM_SECONDS))
    assert claim(state_url, "gaps") and not claim(state_url, "gaps")
    with write_transaction(connect_state(state_url)) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(run_claims_table)).scalar_one() == 1


def test_a_claimant_may_repeat_its_claim_and_nobody_else_makes_it(state_url: str) -> None:
    assert claim(state_url, "gaps", "one") and claim(state_url, "gaps", "one")
    assert not claim(state_url, "gaps", "other") and not claim(state_url, "gaps")
