"""Numbers and their bounds: one place for Python, the command and the run config of the UI."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trading_assets.arguments import CON_ID, LOOKBACK_DAYS, MINUTES, REQUESTS, STRIKE, Bounds, checked_config
from trading_assets.assets.config import BarsConfig, OptionChainsConfig
from trading_assets.errors import InvalidRequest
from trading_assets.settings import Settings


@given(st.integers(-(10**6), 10**6))
def test_a_whole_number_is_within_its_bounds_or_refused(value: int) -> None:
    bounds = Bounds(0, 1000, "days")
    if 0 <= value <= 1000:
        assert bounds.whole(value, "n") == bounds.whole(np.int64(value), "n") == value
    else:
        with pytest.raises(InvalidRequest, match=r"n is .*, and must be from 0 to 1,000 days\."):
            bounds.whole(value, "n")


@given(st.floats())
def test_a_number_is_finite_and_within_its_bounds_or_refused(value: float) -> None:
    if math.isfinite(value) and 0 <= value <= 1e9:
        assert STRIKE.real(value, "strike") == value
    else:
        with pytest.raises(InvalidRequest, match="strike is"):
            STRIKE.real(value, "strike")


@pytest.mark.parametrize("value", [True, "5", 1.5, None, float("nan"), 2**63])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="con_id is"):
        CON_ID.whole(value, "con_id")


@pytest.mark.parametrize(
    ("config", "name", "bounds"),
    [
        (BarsConfig, "lookback_days", LOOKBACK_DAYS),
        (BarsConfig, "max_requests", REQUESTS),
        (OptionChainsConfig, "requote_after_minutes", MINUTES),
    ],
)
def test_the_run_config_has_the_same_bounds(config: Any, name: str, bounds: Bounds) -> None:
    for value in (bounds.least, bounds.most, None):
        assert getattr(config(**{name: value}), name) == value
    for value in (bounds.least - 1, bounds.most + 1):
        said = rf"{name} is .*, and must be {bounds.words}"
        with pytest.raises(ValidationError, match=said):
            config(**{name: value})
        with pytest.raises(InvalidRequest, match=said):
            checked_config({name: value})


def test_the_settings_have_the_same_bounds() -> None:
    assert Settings(setup_lookback_days=int(LOOKBACK_DAYS.most)).setup_lookback_days == LOOKBACK_DAYS.most  # type: ignore[call-arg]
    for wrong in ({"setup_lookback_days": LOOKBACK_DAYS.most + 1}, {"equity_bar_sizes": ("../x",)}):
        with pytest.raises(ValidationError):
            Settings(**wrong)  # type: ignore[arg-type]
