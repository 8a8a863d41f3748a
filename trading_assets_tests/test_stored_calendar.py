"""The stored calendar says what the library says, and steps back where it cannot."""

from __future__ import annotations

import json
import os
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from trading_assets import stored_calendar
from trading_assets.sessions import FIRST_SESSION, SessionCalendar
from trading_assets.stored_calendar import FILE, STORED_UNTIL, described, library_sessions, stored_sessions


def test_the_file_says_what_the_library_says() -> None:
    file = Path(str(files("trading_assets").joinpath(FILE)))
    now = described(FIRST_SESSION, STORED_UNTIL)
    if os.environ.get("TRADING_ASSETS_TESTS_REWRITE"):
        file.write_text(json.dumps(now, indent=1) + "\n", "utf-8")
    assert json.loads(file.read_text("utf-8")) == now, (
        "the library has changed: rewrite the file (see trading_assets/stored_calendar.py)"
    )
    assert stored_sessions(FIRST_SESSION, STORED_UNTIL) == library_sessions(FIRST_SESSION, STORED_UNTIL)


@pytest.mark.parametrize("last", [date(2015, 11, 27), date(2015, 11, 28), date(2015, 11, 26)])
def test_any_end_is_that_of_the_library(last: date) -> None:
    assert stored_sessions(FIRST_SESSION, last) == library_sessions(FIRST_SESSION, last)


def test_what_the_file_does_not_hold_comes_from_the_library() -> None:
    assert stored_sessions(FIRST_SESSION, STORED_UNTIL + timedelta(days=1)) is None
    assert stored_sessions(FIRST_SESSION - timedelta(days=1), STORED_UNTIL) is None
    beyond = SessionCalendar(last=STORED_UNTIL + timedelta(days=90))
    assert beyond.last > STORED_UNTIL


def test_another_version_of_the_library_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_calendar, "version", lambda name: "99.0")
    assert stored_sessions(FIRST_SESSION, date(2020, 1, 2)) is None
    assert SessionCalendar(last=date(2020, 1, 3)).last == date(2020, 1, 3)
