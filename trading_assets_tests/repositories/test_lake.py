"""The lake gives one answer, whoever asks."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from trading_assets.errors import DamagedIdentity
from trading_assets.monitoring.quality import DataQualityMonitor
from trading_assets.repositories.conditions import count_conditions, symbol_conditions
from trading_assets.repositories.identity import LakeIdentity, Wanted
from trading_assets.repositories.lake import Lake
from trading_assets.sessions import calendar
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.scenarios.desk import SMALL, Desk, at


@pytest.mark.slow
def test_who_knows_the_settings_and_who_does_not_get_one_answer(tmp_path: Path) -> None:
    changes = {"enforce_pacing": False, "contract_verify_days": 2, "equity_bar_sizes": ("1 day", "30 mins")}
    with Simulator(GeneratedMarket(seed=42), now=at("2025-11-10T16:40-05:00"), limits=False) as tws:
        desk = Desk(tmp_path, tws, SMALL, changes)
        assert desk.setup("AAPL").success
        desk.move("2025-11-14T16:40-05:00")
        settings = desk.settings
    now = settings.clock()
    lake = Lake.of(settings)
    found = lake.conditions(["AAPL"])
    assert found.equals(symbol_conditions(tmp_path, calendar(), now, ["AAPL"]))
    assert lake.count_conditions(["AAPL"]).equals(count_conditions(tmp_path, calendar(), now, ["AAPL"]))
    assert {row["bar_size"] for row in found.to_pylist()} == {"", "1 day", "30 mins", "8 hours"}
    details = {
        row["session"]: row["condition"] for row in lake.conditions(["AAPL"], datasets=["contracts"]).to_pylist()
    }
    assert details == {date(2025, 11, day): "complete" if day < 12 else "pending" for day in range(10, 15)}
    report = DataQualityMonitor(settings).generate_quality_report(sessions=5, record=False)
    (complete,) = (row for row in report.conditions if (row["dataset"], row["condition"]) == ("contracts", "complete"))
    assert (complete["sessions"], complete["last"]) == (2, date(2025, 11, 11))


def test_what_is_wanted_is_kept_beside_the_identity(tmp_path: Path) -> None:
    identity = LakeIdentity(tmp_path)
    assert identity.wanted() == Wanted(("1 day",), 7)
    identity.pin("simulated/generated/1")
    wanted = Wanted(("1 day", "5 mins"), 3)
    identity.keep_wanted(wanted)
    before = identity.path.stat().st_ino
    identity.keep_wanted(wanted)
    assert identity.path.stat().st_ino == before, "the same is not written again"
    assert LakeIdentity(tmp_path).wanted() == wanted
    assert identity.read() == "simulated/generated/1"
    found = identity.held()
    assert found is not None
    with identity.changing():
        identity.rewrite(found)
    assert identity.wanted() == wanted, "a file that is put together again keeps it"
    nothing = LakeIdentity(tmp_path / "nothing")
    nothing.keep_wanted(wanted)
    assert not nothing.path.exists(), "whose the lake is must be known first"


@pytest.mark.parametrize(
    "wrong", [[], {}, {"equity_bar_sizes": "1 day", "contract_verify_days": 7}, {"equity_bar_sizes": ["1 day"]}]
)
def test_a_wrong_value_of_what_is_wanted_is_a_damaged_file(tmp_path: Path, wrong: object) -> None:
    identity = LakeIdentity(tmp_path)
    identity.pin("simulated/generated/1")
    identity.path.write_text(json.dumps({**json.loads(identity.path.read_text()), "wanted": wrong}))
    with pytest.raises(DamagedIdentity, match="wrong type"):
        identity.wanted()
