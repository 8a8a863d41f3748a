"""Coverage as one truth: the same numbers in the lake, the metadata of a run, the command `coverage` and the command
`status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from trading_assets.resources.instance import dagster_instance
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.scenarios.desk import SMALL, Desk, at

MISSED = ["2025-11-24", "2025-11-25"]
"""The two sessions nobody collected."""


pytestmark = pytest.mark.xdist_group("coverage")  # what they look at is collected once


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A symbol collected on a Friday, left alone for two sessions, and updated on the Wednesday after the close."""
    with Simulator(GeneratedMarket(), now=at("2025-11-21T16:30-05:00"), limits=False) as simulator:
        found = Desk(tmp_path_factory.mktemp("lake"), simulator, SMALL)
        assert found.setup("AAPL").success
        found.move("2025-11-26T16:30-05:00")
        found.forget()
        assert found.update("AAPL").success
        yield found


def metadata(desk: Desk, asset: str) -> dict[str, Any]:
    """The metadata of the newest materialization of an asset by the update."""
    with dagster_instance(desk.settings) as instance:
        (newest,) = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=["2025-11-26"]), limit=1
        ).records
        assert newest.asset_materialization is not None
        return {name: value.value for name, value in newest.asset_materialization.metadata.items()}


def checked(desk: Desk, asset: str) -> dict[str, Any]:
    """The metadata of the newest `complete` check of an asset."""
    with dagster_instance(desk.settings) as instance:
        key = dg.AssetCheckKey(dg.AssetKey(asset), "complete")
        record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        assert record.event is not None
        assert record.event.dagster_event is not None
        return {
            name: value.value for name, value in record.event.dagster_event.asset_check_evaluation_data.metadata.items()
        }


def test_missed_chains_are_recorded_as_lost_and_missed_contracts_as_carried(desk: Desk) -> None:
    rows = desk.rows(f"""select dataset, session::varchar as session, condition, reason, request_id from coverage
            where session::varchar in ('{"', '".join(MISSED)}') and dataset in ('contracts', 'option_chains')
            order by dataset, session""")
    assert list(rows["session"]) == MISSED * 2
    assert list(rows["condition"]) == ["complete", "complete", "expired_lost", "expired_lost"]
    assert (
        rows["reason"].iloc[2]
        == "No snapshot was taken while session 2025-11-24 was current; a chain of a past session is unavailable."
    )
    assert "the details of the sessions beside it answer for it" in rows["reason"].iloc[0]
    assert set(rows["request_id"]) == {0}, "no request was made for them"
    assert list(desk.rows("select distinct session::varchar as session from option_chains order by 1")["session"]) == [
        "2025-11-21",
        "2025-11-26",
    ]


def test_the_command_the_metadata_and_the_check_say_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for asset in ("contracts", "option_chains", "equity_bars", "option_bars"):
        shown = metadata(desk, asset)
        if asset in ("contracts", "option_chains"):
            words = ["--from", "2025-11-26", "--to", "2025-11-26"]
        else:
            first, last = shown["window"].split(",")[0].split(" to ")
            words = ["--from", first, "--to", last]
            assert "data:image/png;base64," in shown["coverage"]
        _, rows = desk.command(monkeypatch, "coverage", "AAPL", "--dataset", asset, *words)
        told = Counter[str]()
        for row in rows:
            told[row["condition"]] += row["sessions"]
        assert shown["conditions"] == dict(told)
        assert checked(desk, asset)["conditions"] == dict(told)


def test_the_command_names_the_holes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    code, rows = desk.command(monkeypatch, "coverage", "AAPL", "--dataset", "option_chains")
    assert code == 0
    assert [(row["condition"], row["sessions"]) for row in rows] == [("complete", 2), ("expired_lost", 2)]
    assert [rows[1]["first"], rows[1]["last"]] == MISSED


def test_the_status_tells_the_same_and_that_all_is_well(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    code, found = desk.command(monkeypatch, "status")
    assert found["wrong"] == []
    assert code == 0
    by_dataset = {row["dataset"]: row for row in found["freshness"]}
    assert by_dataset["option_chains"]["conditions"] == {"complete": 2, "expired_lost": 2}
    assert by_dataset["contracts"]["conditions"] == {"complete": 4}
    assert {row["last"] for row in found["freshness"]} == {"2025-11-26"}
    assert found["broker"]["reachable"] is True
    assert found["broker"]["market_data"] == "frozen"
    assert found["queue"] == {"queued": 0, "running": 0}
    assert all(row["status"] in ("on", "off") for row in found["schedules"])


def test_a_broker_that_is_gone_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Desk(desk.folder, desk.simulator, SMALL, {"ib_port": 1})
    code, found = away.command(monkeypatch, "status")
    assert code == 1
    assert found["wrong"][0].startswith("The broker cannot be reached: 127.0.0.1:1 does not accept a connection")
    code, found = desk.command(monkeypatch, "status", "--no-probe")
    assert (code, found["wrong"]) == (0, [])
