"""The lists of datasets that options, help texts and errors are made of."""

from __future__ import annotations

import pytest

from trading_assets.arguments import COLLECTED, RULED, STORED, any_of, dataset, datasets, ruled_dataset
from trading_assets.errors import InvalidRequest
from trading_assets.monitoring.status import COLLECTED as IN_STATUS
from trading_assets.repositories.catalog import connect
from trading_assets.repositories.schemas import DATASETS
from trading_assets.validation import RULES


def test_the_lists_are_those_of_the_lake_and_of_the_rules() -> None:
    assert tuple(DATASETS) == STORED
    assert {rule.dataset for rule in RULES} == set(RULED)
    assert tuple(each.name for each in IN_STATUS) == COLLECTED
    assert [name for name in STORED if f"`{name}`" not in (connect.__doc__ or "")] == []


def test_greeks_have_rules_and_are_not_collected() -> None:
    assert ruled_dataset("option_greeks") == "option_greeks"
    assert datasets(["option_greeks", "option_greeks"], allowed=RULED) == ["option_greeks"]
    with pytest.raises(InvalidRequest, match=r"^dataset is 'option_greeks': give one of contracts, .*, option_bars\.$"):
        dataset("option_greeks")
    assert any_of(RULED).endswith("option_bars or option_greeks")
