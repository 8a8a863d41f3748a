"""The hash of a partitions definition is Dagster's, and is computed once."""

from __future__ import annotations

import copy
import pickle

import dagster as dg
import pytest

from trading_assets.assets.partitions import session_partitions
from trading_assets.resources import partitions_hash

partitions_hash.remember_hashes()


def definition(**other: str) -> dg.TimeWindowPartitionsDefinition:
    values = {"start": "2024-01-02", "fmt": "%Y-%m-%d", "cron_schedule": "0 0 * * 1-5", **other}
    return dg.TimeWindowPartitionsDefinition(**values)  # type: ignore[arg-type]


def test_equal_definitions_have_one_hash_and_others_another() -> None:
    assert hash(definition()) == hash(definition()) == partitions_hash._compute(definition())
    assert len({definition(), definition(), definition(timezone="America/New_York")}) == 2
    assert hash(session_partitions()) == partitions_hash._compute(session_partitions())


def test_it_is_computed_once_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[dg.TimeWindowPartitionsDefinition] = []
    compute = partitions_hash._compute
    monkeypatch.setattr(partitions_hash, "_compute", lambda one: computed.append(one) or compute(one))
    mine = definition()
    assert len({hash(mine) for _ in range(3)}) == 1
    assert [one is mine for one in computed] == [True]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_and_what_is_sent_to_another_process_do_not_bring_it(copied: object) -> None:
    mine = definition()
    hash(mine)
    other = copied(mine)  # type: ignore[operator]
    assert other == mine
    assert vars(other) == {}
