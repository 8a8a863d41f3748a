"""Held bars: accepted they pass, rejected they leave for the revisions and are requested again; killed in between
nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pyarrow.dataset as pads
import pytest

import trading_assets.repositories.store as store_module
from trading_assets.errors import NoReview
from trading_assets.repositories import CoverageRepository, ParquetStore
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets.validation import RULES, Reviews, Verdict, validate
from trading_assets_tests.repositories.frames import bar, covered, table
from trading_assets_tests.validation.worlds import BAR_SESSIONS, NOW, spot

BAD = BAR_SESSIONS[-1]
SPIKE = [rule for rule in RULES if rule.name == "spike"]
THE_BAR = (pads.field("symbol") == "AAPL") & (pads.field("session") == BAD)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def desk(tmp_path: Path) -> Settings:
    """A lake whose newest AAPL bar is a bad print."""
    store = ParquetStore(tmp_path)
    for symbol in ("AAPL", "IBM"):
        store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day, spot(day), symbol=symbol) for day in BAR_SESSIONS]))
        store.upsert(COVERAGE, table(COVERAGE, [covered(day, symbol=symbol) for day in BAR_SESSIONS]))
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(BAD, 150.0)]))
    settings = Settings(data_dir=tmp_path, now=NOW)
    assert validate(settings).result("spike").symbols == ("AAPL",)
    return settings


def test_a_held_bar_is_pending_once_and_shows_its_case(desk: Settings) -> None:
    validate(desk)
    (held,) = Reviews(desk).held()
    assert (held.symbol, held.session, held.close, held.verdict) == ("AAPL", BAD, 150.0, Verdict.PENDING)
    assert held.example["previous"] == spot(BAR_SESSIONS[-2]) and held.example["move"] > 0.3


def test_an_accepted_bar_passes_until_its_value_changes(desk: Settings) -> None:
    Reviews(desk).accept("AAPL", BAD)
    assert validate(desk).result("spike").passed
    assert Reviews(desk).held() == []
    ParquetStore(desk.data_dir).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(BAD, 190.0)]))
    assert not validate(desk).result("spike").passed
    assert [review.close for review in Reviews(desk).held()] == [190.0]


def test_a_rejected_bar_is_withdrawn_and_asked_for_again(desk: Settings) -> None:
    store = ParquetStore(desk.data_dir)
    before = store.read(EQUITY_BARS).num_rows
    (decided,) = Reviews(desk).reject("AAPL", BAD)
    assert decided.verdict is Verdict.REJECTED and decided.decided_at == NOW
    assert store.read(EQUITY_BARS).num_rows == before - 1
    kept = store.read_revisions(EQUITY_BARS, where=THE_BAR).to_pylist()
    # The bar that the bad print replaced is there as well.
    assert [(row["close"], row["superseded_by"]) for row in kept if row["close"] == 150.0] == [(150.0, 0)]
    assert next(row["superseded_at"] for row in kept if row["close"] == 150.0) == NOW
    coverage = CoverageRepository(store)
    (condition,) = coverage.conditions("equity_bars", "1 day", ["AAPL"], BAD, BAD).to_pylist()
    assert condition["condition"] == "error" and "rejected in review (spike)" in condition["reason"]
    wanted = Lake.of(desk, NOW).wanted(EQUITY_BARS, "1 day", ["AAPL", "IBM"], [BAD]).to_pylist()
    assert {row["symbol"]: row["askable"] for row in wanted} == {"AAPL": True, "IBM": False}
    assert validate(desk).result("spike").passed


def test_the_same_value_given_again_after_a_rejection_is_held_anew(desk: Settings) -> None:
    Reviews(desk).reject("AAPL", BAD)
    ParquetStore(desk.data_dir).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(BAD, 150.0, request_id=9)]))
    validate(desk)
    assert [review.verdict for review in Reviews(desk).held()] == [Verdict.PENDING]


def test_there_must_be_something_to_decide(desk: Settings) -> None:
    for decide in (Reviews(desk).accept, Reviews(desk).reject):
        with pytest.raises(NoReview, match="No bar of IBM in session 2015-12-23 is held for review"):
            decide("IBM", BAD)


def test_killed_between_revisions_and_file_the_bar_is_in_both_and_rejecting_again_ends_it(
    desk: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ParquetStore(desk.data_dir)
    write = store_module.write_file

    def dies(path: Path, *arguments: object) -> None:
        if "revisions" not in path.parts:
            raise Killed
        write(path, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "write_file", dies)
        with pytest.raises(Killed):
            Reviews(desk).reject("AAPL", BAD)
    assert store.read(EQUITY_BARS, where=THE_BAR).num_rows == 1
    assert store.read_revisions(EQUITY_BARS, where=THE_BAR)["close"].to_pylist().count(150.0) == 1
    Reviews(desk).reject("AAPL", BAD)
    assert store.read(EQUITY_BARS, where=THE_BAR).num_rows == 0
    assert store.read_revisions(EQUITY_BARS, where=THE_BAR)["close"].to_pylist().count(150.0) == 1


def test_killed_before_coverage_the_bar_is_still_pending(desk: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(CoverageRepository, "reopen", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            Reviews(desk).reject("AAPL", BAD)
    assert [review.verdict for review in Reviews(desk).held()] == [Verdict.PENDING]
    Reviews(desk).reject("AAPL", BAD)
    (condition,) = (
        CoverageRepository(ParquetStore(desk.data_dir))
        .conditions("equity_bars", "1 day", ["AAPL"], BAD, BAD)
        .to_pylist()
    )
    assert condition["condition"] == "error"


def test_withdrawing_the_last_row_of_a_file_leaves_none_and_other_variants_alone(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(BAD), {**bar(BAD), "bar_size": "1 hour"}]))
    assert store.withdraw(EQUITY_BARS, where=THE_BAR, at=NOW, variants=["1 day"]) == 1
    assert store.withdraw(EQUITY_BARS, where=THE_BAR, at=NOW, variants=["1 day"]) == 0
    assert store.read(EQUITY_BARS)["bar_size"].to_pylist() == ["1 hour"]
    with pytest.raises(ValueError, match="has no time zone"):
        store.withdraw(EQUITY_BARS, where=THE_BAR, at=NOW.replace(tzinfo=None))
