"""Tests that are left out plainly: where something they need from the machine (a browser, recorded data) is absent,
which fails in CI, and where the time is over that a slow machine was given."""

from __future__ import annotations

import os
import time
from typing import NoReturn

import pytest


def leave_out(missing: str) -> NoReturn:
    """Skip the test and say what was missing; with TRADING_ASSETS_REQUIRE_ALL_TESTS set (CI), fail instead."""
    if os.environ.get("TRADING_ASSETS_REQUIRE_ALL_TESTS"):
        pytest.fail(f"This test must not be left out here, but {missing}")
    pytest.skip(missing)


def leave_out_late() -> None:
    """Skip the test where it would begin after `TRADING_ASSETS_TESTS_END`, an instant in seconds since 1970 (UTC)."""
    end = os.environ.get("TRADING_ASSETS_TESTS_END")
    if end and time.time() > float(end):
        pytest.skip("the time that this run was given is over: TRADING_ASSETS_TESTS_END")
