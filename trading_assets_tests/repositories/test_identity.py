"""Whose data a lake holds."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from trading_assets.errors import IdentityMismatch, LayoutMismatch
from trading_assets.repositories import LakeIdentity
from trading_assets.repositories.schemas import Period


def test_the_first_pin_is_written_and_the_same_passes_again(tmp_path: Path) -> None:
    lake = LakeIdentity(tmp_path / "new" / "lake")
    assert lake.read() is None
    lake.pin("simulated generated seed 42")
    lake.pin("simulated generated seed 42")
    assert LakeIdentity(tmp_path / "new" / "lake").read() == "simulated generated seed 42"
    assert json.loads(lake.path.read_text())["schema_version"] == 2


def test_another_identity_is_refused_and_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    LakeIdentity(tmp_path).pin("tws live DU1 live data")
    with pytest.raises(IdentityMismatch) as refusal:
        LakeIdentity(tmp_path).pin("simulated generated")
    assert "holds data of `tws live DU1 live data`, and data of `simulated generated` was offered" in str(refusal.value)
    assert "Set TRADING_ASSETS_DATA_DIR to another folder" in str(refusal.value)
    assert LakeIdentity(tmp_path).read() == "tws live DU1 live data"


def test_of_many_that_pin_at_once_one_wins(tmp_path: Path) -> None:
    refused: list[str] = []

    def pin(identity: str) -> None:
        try:
            LakeIdentity(tmp_path).pin(identity)
        except IdentityMismatch:
            refused.append(identity)

    threads = [threading.Thread(target=pin, args=(f"market {i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted([*refused, LakeIdentity(tmp_path).read() or ""]) == [f"market {i}" for i in range(6)]


def test_the_identity_and_the_periods_do_not_overwrite_each_other(tmp_path: Path) -> None:
    lake = LakeIdentity(tmp_path)
    lake.pin_period("equity_bars", Period.YEAR)
    lake.pin("simulated")
    lake.pin_period("option_chains", Period.MONTH)
    assert (lake.read(), lake.periods()) == ("simulated", {"equity_bars": Period.YEAR, "option_chains": Period.MONTH})


def test_an_empty_identity_and_a_lake_of_the_future_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be empty"):
        LakeIdentity(tmp_path).pin(" ")
    (tmp_path / "lake.json").write_text('{"schema_version": 99}')
    with pytest.raises(LayoutMismatch, match="schema version 99, and this program knows versions up to 2"):
        LakeIdentity(tmp_path).read()
