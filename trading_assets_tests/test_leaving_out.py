"""Tests that are left out say why."""

from __future__ import annotations

import time

import pytest

from trading_assets_tests.leaving_out import leave_out, leave_out_late


def test_a_test_that_begins_too_late_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_ASSETS_TESTS_END", str(time.time() - 1))
    with pytest.raises(pytest.skip.Exception, match="time that this run was given is over"):
        leave_out_late()
    monkeypatch.setenv("TRADING_ASSETS_TESTS_END", str(time.time() + 3600))
    leave_out_late()
    monkeypatch.delenv("TRADING_ASSETS_TESTS_END")
    leave_out_late()


def test_what_the_machine_lacks_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRADING_ASSETS_REQUIRE_ALL_TESTS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser"):
        leave_out("there is no browser")
    monkeypatch.setenv("TRADING_ASSETS_REQUIRE_ALL_TESTS", "1")
    with pytest.raises(pytest.fail.Exception, match="must not be left out"):
        leave_out("there is no browser")
