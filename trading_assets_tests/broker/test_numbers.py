"""The broker's ways to say "no value" are null, one by one and in arrays alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trading_assets.broker.numbers import number, numbers


@pytest.mark.parametrize(
    "value", [None, math.nan, math.inf, -math.inf, 1.7976931348623157e308, -1.7976931348623157e308, 1e301]
)
def test_unset_is_null(value: float | None) -> None:
    assert number(value) is None
    assert np.isnan(numbers([value, 5.0])).tolist() == [True, False]


@pytest.mark.parametrize("absent", [-1, -2])
def test_a_placeholder_is_null_where_the_field_has_one(absent: int) -> None:
    assert number(float(absent), absent) is None
    assert number(float(absent)) == absent
    assert number(-0.5, absent) == -0.5
    assert np.isnan(numbers([absent, -0.5, 0], absent)).tolist() == [True, False, False]
