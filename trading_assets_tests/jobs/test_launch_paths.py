"""However a run is launched, it asks for the option contracts of the settings, but for what its own config sets.

Requests are counted at the broker.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._cli import create_dagster_cli

from trading_assets.assets.config import OptionChainsConfig, SelectionConfig
from trading_assets.automation import sensors, sessions
from trading_assets.definitions import build_defs
from trading_assets.jobs import DataPipelineOrchestrator
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.instance import dagster_home
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.universe import Universe
from trading_assets_tests.scenarios.desk import CONVERSATION, Desk, at

SESSION = "2025-11-17"

SELECTION: dict[str, Any] = {"max_days_to_expiry": 5, "strikes_around_spot": 3, "rights": ["C"]}
"""One expiry, six calls."""

pytestmark = pytest.mark.xdist_group("launch paths")  # what they are compared with is collected once

Question = tuple[str, str]


@pytest.fixture(scope="module")
def tws() -> Iterator[Simulator]:
    """A simulated TWS on a Monday after the close."""
    with Simulator(GeneratedMarket(seed=42), now=at(f"{SESSION}T16:40-05:00"), limits=False) as simulator:
        yield simulator


class Launches:
    """Snapshots of AAPL, each from nothing in a folder of its own, with `selection` as TRADING_ASSETS_SELECTION."""

    def __init__(self, tws: Simulator, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.tws, self.root, self.patch = tws, root, patch
        self.desk = Desk(root, tws)

    def begin(self, selection: Mapping[str, Any]) -> None:
        """An empty folder with AAPL in the universe, and the environment of its settings."""
        self.desk = Desk(self.root / str(len(list(self.root.iterdir()))), self.tws)
        Universe(self.desk.settings.state_url).add(["AAPL"])
        for name, value in {
            **self.desk.settings.environment(),
            "TRADING_ASSETS_SELECTION": json.dumps(selection),
        }.items():
            self.patch.setenv(name, value)
        self.desk.forget()

    def asked(self) -> list[Question]:
        """What reached the broker, but for bars, which some of the operations collect too."""
        return sorted(
            (entry.kind, entry.subject)
            for entry in self.tws.counters.log
            if entry.kind not in {*CONVERSATION, "historical_data"}
        )

    def strikes(self) -> list[float]:
        """The strikes that were quoted, in order."""
        return list(
            self.desk.rows("select distinct strike from option_chains where selected order by strike")["strike"]
        )


@pytest.fixture
def launches(tws: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launches:
    return Launches(tws, tmp_path, monkeypatch)


def orchestrator(launches: Launches) -> None:
    assert DataPipelineOrchestrator().update().success


def command(launches: Launches, *arguments: str) -> None:
    from trading_assets.cli.app import run

    assert run(["update", "AAPL", *arguments, "--json"]) == 0


def ui(launches: Launches, chains: Mapping[str, Any] | None = None) -> None:
    """As the launchpad does: the definitions of the environment, and a run config by hand."""
    ops = {} if chains is None else {"ops": {"option_chains": {"config": chains}}}
    assert build_defs().resolve_job_def("snapshot").execute_in_process(partition_key=SESSION, run_config=ops).success


def materialize(launches: Launches) -> None:
    """`dagster asset materialize`."""
    launches.patch.setenv("DAGSTER_HOME", str(dagster_home(launches.desk.settings)))
    words = [
        "asset",
        "materialize",
        "-m",
        "trading_assets.definitions",
        "--select",
        "contracts,option_chains",
        "--partition",
        SESSION,
    ]
    done = CliRunner().invoke(create_dagster_cli(), words)
    assert done.exit_code == 0, done.output


def asked_for(decision: Callable[[Any], Any], context: Any, job: str) -> None:
    """Run what a schedule or sensor asks for."""
    with context:
        request = decision(context)
    assert isinstance(request, dg.RunRequest), request
    ops = {name: op for name, op in request.run_config["ops"].items() if name in ("contracts", "option_chains")}
    found = (
        build_defs()
        .resolve_job_def(job)
        .get_subset(asset_selection={dg.AssetKey("contracts"), dg.AssetKey("option_chains")})
    )
    assert found.execute_in_process(partition_key=request.partition_key, run_config={"ops": ops}).success


def schedule(launches: Launches) -> None:
    with dg.instance_for_test() as instance:
        asked_for(
            sessions.daily_snapshot,
            dg.build_sensor_context(instance, resources={"archive": ArchiveResource()}),
            "snapshot",
        )


def sensor(launches: Launches) -> None:
    with dg.instance_for_test() as instance:
        asked_for(
            sensors.new_symbols,
            dg.build_sensor_context(instance, resources={"archive": ArchiveResource()}),
            "setup_symbol",
        )


@pytest.fixture(scope="module")
def of_the_settings(tws: Simulator, tmp_path_factory: pytest.TempPathFactory) -> list[Question]:
    """What a run without a selection of its own asks with these settings."""
    with pytest.MonkeyPatch.context() as patch:
        launches = Launches(tws, tmp_path_factory.mktemp("settings"), patch)
        launches.begin(SELECTION)
        ui(launches)
        asked = launches.asked()
    assert [kind for kind, _ in asked].count("market_data") == 6 + 1, "six calls and their underlying"
    return asked


@pytest.mark.parametrize(
    "launch",
    [
        orchestrator,
        command,
        materialize,
        schedule,
        sensor,
        lambda launches: ui(launches, {}),
        lambda launches: ui(launches, {"selection": {}}),
    ],
    ids=[
        "orchestrator",
        "command",
        "dagster asset materialize",
        "schedule",
        "sensor",
        "run config without selection",
        "empty selection",
    ],
)
def test_however_it_is_launched_a_run_asks_the_same(
    launch: Callable[[Launches], None], launches: Launches, of_the_settings: list[Question]
) -> None:
    launches.begin(SELECTION)
    launch(launches)
    assert launches.asked() == of_the_settings


def test_a_run_config_changes_the_field_that_it_sets_and_no_other(
    launches: Launches, of_the_settings: list[Question]
) -> None:
    launches.begin({**SELECTION, "rights": ["P"]})
    ui(launches)
    puts = launches.asked()
    assert len(puts) == len(of_the_settings)
    assert puts != of_the_settings
    launches.begin(SELECTION)
    ui(launches, {"selection": {"rights": ["P"]}})
    assert launches.asked() == puts


def test_null_in_a_run_config_is_a_value(launches: Launches) -> None:
    launches.begin({**SELECTION, "max_contracts": 2})
    ui(launches, {"selection": {"max_contracts": None}})
    assert len(launches.strikes()) == 6


def test_a_config_object_hands_on_what_was_set() -> None:
    config = dg.RunConfig(
        ops={
            "option_chains": OptionChainsConfig(
                selection=SelectionConfig(max_days_to_expiry=3, strikes_around_spot=None)
            )
        }
    )
    assert config.to_config_dict()["ops"]["option_chains"]["config"]["selection"] == {
        "max_days_to_expiry": 3,
        "strikes_around_spot": None,
    }


@pytest.mark.parametrize("way", ["setting", "run config", "command"])
def test_moneyness_can_be_set(way: str, launches: Launches) -> None:
    launches.begin({**SELECTION, "min_moneyness": 1.0} if way == "setting" else SELECTION)
    if way == "command":
        command(launches, "--min-moneyness", "1")
    else:
        ui(launches, {"selection": {"min_moneyness": 1.0}} if way == "run config" else {})
    strikes = launches.strikes()
    (spot,) = launches.desk.rows("select max(underlying_price) as spot from option_chains where selected")["spot"]
    assert len(strikes) == 3
    assert min(strikes) >= spot * 0.99


def test_a_wrong_value_of_a_run_config_is_told_in_one_sentence(launches: Launches) -> None:
    launches.begin(SELECTION)
    run = launches.desk.job(
        "snapshot", [at(f"{SESSION}T16:40-05:00").date()], {"option_chains": {"selection": {"strikes_around_spot": 0}}}
    )
    assert run.error == (
        "The run config is wrong, nothing was done."
        " The setting strikes_around_spot is wrong (0): input should be greater than or equal to 1."
    )
    assert not run.retryable
