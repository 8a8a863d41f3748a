"""Changes of contracts in the state database: recorded once, decided once, and told apart from what is done."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from trading_assets.contract_changes import ContractChanges, Decision

NOW = datetime(2026, 6, 15, 20, 30, tzinfo=UTC)

OLD, NEW, OTHER = (
    (8314, "contract 8314, OLD CO"),
    (107113386, "contract 107113386, NEW CO"),
    (5, "contract 5, OTHER CO"),
)


@pytest.fixture
def changes(state_url: str) -> ContractChanges:
    return ContractChanges(state_url)


def test_a_change_is_open_until_it_is_carried_out(changes: ContractChanges) -> None:
    assert changes.unfinished() == {}
    changes.record("META", old=OLD, new=NEW, now=NOW, request_id=7, session=date(2026, 6, 15))
    change = changes.unfinished(["META", "IBM"])["META"]
    assert (change.old_con_id, change.new_con_id, change.decision, change.session, change.found_at) == (
        OLD[0],
        NEW[0],
        None,
        date(2026, 6, 15),
        NOW,
    )
    assert (
        change.reason
        == "The series of META is of contract 8314, OLD CO; the broker now answers contract 107113386, NEW CO."
    )
    assert changes.unfinished(["IBM"]) == {}
    assert changes.decide("META", Decision.NEW).decision is Decision.NEW
    assert changes.unfinished()["META"].decision is Decision.NEW, (
        "a process that is killed here leaves it to the next one"
    )
    changes.finish(["META"], NOW)
    assert changes.unfinished() == {}


def test_a_later_answer_takes_the_place_of_an_open_change_and_not_of_a_decided_one(changes: ContractChanges) -> None:
    changes.record("META", old=OLD, new=NEW, now=NOW)
    changes.record("META", old=OLD, new=OTHER, now=NOW)
    assert changes.unfinished()["META"].new_con_id == OTHER[0]
    changes.decide("META", Decision.SAME)
    changes.record("META", old=OLD, new=NEW, now=NOW)
    assert changes.unfinished()["META"].new_con_id == OTHER[0]


def test_what_cannot_be_decided_is_refused(changes: ContractChanges) -> None:
    with pytest.raises(ValueError, match="META has no contract change to decide"):
        changes.decide("META", Decision.SAME)
    changes.record("META", old=OLD, new=NEW, now=NOW)
    changes.decide("META", Decision.SAME)
    with pytest.raises(ValueError, match="decided as `same` already"):
        changes.decide("META", Decision.NEW)
    assert changes.decide("META", Decision.SAME).decision is Decision.SAME
