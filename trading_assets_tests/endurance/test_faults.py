"""Every fault, from the assets' steps to the lake: the run ends in success after recovery or in a clear, retryable
failure.

Never a hang, never a false "no data". The same faults on the broker's own level are in `trading_assets_tests/broker`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.run import Waits
from trading_assets.errors import BrokerError
from trading_assets.reliability import RetryConfig
from trading_assets.repositories.schemas import Condition
from trading_assets.settings import Settings
from trading_assets.simulator import Faults, Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.endurance.collect import by_the_steps, through_dagster
from trading_assets_tests.endurance.conftest import NOW, SYMBOL, Undisturbed, settings_of
from trading_assets_tests.endurance.lakes import asked, broken, broken_runs, contents, difference

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

Rule = dict[str, Any]
Simulate = Callable[..., Simulator]
Work = Callable[..., dict[str, Any]]

KINDS = ("contract_details", "option_parameters", "market_data", "historical_data")

STAGES: tuple[Rule, ...] = (
    {"on": "contract_details", "nth": 1},
    {"on": "option_parameters", "nth": 1},
    {"on": "contract_details", "nth": 2},
    {"on": "market_data", "nth": 1},
    {"on": "market_data", "nth": 4},
    {"on": "historical_data", "nth": 1},
    {"on": "historical_data", "nth": 5},
)
"""The contract, the parameters, a listing, the underlying's price, a quote, the underlying's bars, an option's bars.
What is sent again counts too, so that some strikes come at a neighbour of the request that is meant."""

SOON = RetryConfig(wait_initial=0.02, wait_max=0.1)
QUICK = {
    "history_timeout": 1.0,
    "contract_timeout": 1.0,
    "quote_timeout": 1.0,
    "connect_timeout": 3.0,
    "reconnect_timeout": 10.0,
    "recovery_timeout": 0.0,
}
"""Timeouts of a minute are a second here; an open breaker allows its trial call at once."""


def everywhere(**what: Any) -> list[Rule]:
    """The fault once at every stage."""
    return [{**stage, **what} for stage in STAGES]


def only(kind: str, **what: Any) -> list[Rule]:
    """The fault at the stages that send that kind of request."""
    return [{**stage, **what} for stage in STAGES if stage["on"] == kind]


NO_INFORMATION = {"code": 162, "text": "Historical Market Data Service error message:Something new"}

PASSING: dict[str, list[Rule]] = {
    "dropped before each answer": everywhere(do="drop_before"),
    "dropped in each answer": everywhere(do="drop_during"),
    "dropped after each answer": everywhere(do="drop_after"),
    "a silent contract": [{"on": "contract_details", "do": "hang"}],
    "silent parameters": [{"on": "option_parameters", "do": "hang"}],
    "a silent listing": [{"on": "contract_details", "nth": 2, "do": "hang"}],
    "a silent price and a silent quote": only("market_data", do="hang"),
    "silent bars": only("historical_data", do="hang"),
    "pacing violations": only("historical_data", do="pacing"),
    "error 322": only("historical_data", do="too_many_open"),
    "timed out at the broker": only("historical_data", do="timed_out"),
    "an unknown text of 162": only("historical_data", do="error", **NO_INFORMATION),
    "another IP address": only("historical_data", do="different_ip"),
    "error 10197": only("market_data", do="competing_session"),
    "error 101": only("market_data", do="error", code=101, text="Max number of tickers has been reached"),
    "1100 and 1102": everywhere(do="connectivity_lost", seconds=0.1),
    "1100 and 1101": everywhere(do="connectivity_lost", seconds=0.1, data_lost=True),
    "farms down": everywhere(do="farm_down", seconds=0.1),
    "nightly reset": [{"on": "market_data", "nth": 3, "do": "nightly_reset", "seconds": 0.5}],
    "error 326": [{"after_seconds": 0, "do": "duplicate_client_id", "connects": 3}],
}

SLOW: dict[str, list[Rule]] = {
    "split frames": [{"on": "any", "times": 0, "do": "split", "bytes": 11}],
    "merged frames": [{"on": "any", "times": 0, "do": "merge", "seconds": 0.01}],
    "late answers": everywhere(do="delay", seconds=0.2),
    "stalls": everywhere(do="stall", seconds=0.2),
}

PATIENT = {**QUICK, "history_timeout": 30.0, "contract_timeout": 30.0, "quote_timeout": 30.0}
"""For answers that are only slow: on a busy machine, a piece of one may take its time."""

LASTING: dict[str, tuple[list[Rule], dict[str, Any]]] = {
    "pacing violations": ([{"on": "historical_data", "do": "pacing", "times": 0}], {}),
    "silent bars": ([{"on": "historical_data", "do": "hang", "times": 0}], {"history_timeout": 0.2}),
    "silent quotes": ([{"on": "market_data", "do": "hang", "times": 0}], {"quote_timeout": 0.2}),
    "a silent listing": ([{"on": "contract_details", "nth": 2, "do": "hang", "times": 0}], {"contract_timeout": 0.2}),
    "another IP address": ([{"on": "historical_data", "do": "different_ip", "times": 0}], {}),
    "error 10197": ([{"on": "market_data", "do": "competing_session", "times": 0}], {}),
    "error 354": ([{"on": "market_data", "nth": 4, "do": "not_subscribed"}], {}),
    "drops": ([{"on": "historical_data", "do": "drop_before", "times": 0}], {}),
    "1100 for long": (
        [{"on": "historical_data", "nth": 3, "do": "connectivity_lost", "seconds": 2}],
        {"reconnect_timeout": 0.5, "history_timeout": 0.5},
    ),
    "a long nightly reset": (
        [{"on": "historical_data", "nth": 3, "do": "nightly_reset", "seconds": 2}],
        {"reconnect_timeout": 0.5},
    ),
    "error 326 for every id": (
        [{"after_seconds": 0, "do": "duplicate_client_id", "connects": 2}],
        {"ib_client_ids": (50, 51)},
    ),
}
"""Rules, and settings that let the run give up soon."""


@pytest.fixture(autouse=True)
def _waits_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between attempts, in the same code: hundredths of a second in place of seconds."""
    monkeypatch.setattr("trading_assets.broker.broker.Waits", lambda: Waits(SOON, SOON, SOON))


@pytest.fixture
def simulate(market: GeneratedMarket) -> Iterator[Simulate]:
    """Starts simulators with faults; none of them may fail by itself."""
    with ExitStack() as stack:
        running: list[Simulator] = []

        def start(rules: list[Rule]) -> Simulator:
            running.append(stack.enter_context(Simulator(market, now=NOW, limits=False, faults=Faults(rules))))
            return running[-1]

        yield start
        failures = [failure for simulator in running for failure in simulator.counters.internal_errors]
    assert failures == []


def conditions(folder: Path) -> dict[tuple[Any, ...], str]:
    """The condition of each instrument and session."""
    rows = contents(folder)["coverage"].to_pylist()
    return {
        tuple(row[name] for name in ("dataset", "bar_size", "symbol", "con_id", "session")): row["condition"]
        for row in rows
    }


def false_no_data(folder: Path, undisturbed: Undisturbed) -> list[tuple[Any, ...]]:
    """What is recorded as known to have no data, though the undisturbed lake has it."""
    names = ("dataset", "bar_size", "symbol", "con_id", "session")
    true = {
        tuple(row[name] for name in names): row["condition"] for row in undisturbed.contents["coverage"].to_pylist()
    }
    no_data = {str(Condition.NO_TRADES), str(Condition.NO_CONTRACT), str(Condition.EXPIRED_LOST)}
    return [key for key, condition in conditions(folder).items() if condition in no_data and true.get(key) != condition]


@pytest.mark.parametrize("rules", PASSING.values(), ids=PASSING.keys())
def test_a_passing_fault_leaves_no_trace_in_the_lake(
    rules: list[Rule], simulate: Simulate, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    simulator = simulate(rules)
    report = by_the_steps(settings_of(tmp_path, simulator, **QUICK), [SYMBOL])
    assert report["success"], report["problems"]
    assert sum(simulator.counters.faults.values()) >= 1
    assert difference(tmp_path, undisturbed.contents) == []
    assert broken(tmp_path) == []


@pytest.mark.parametrize("rules", SLOW.values(), ids=SLOW.keys())
def test_answers_in_pieces_or_late_arrive_whole(
    rules: list[Rule], simulate: Simulate, undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the pieces of a quote do not come in one breath here
    monkeypatch.setattr("trading_assets.broker.quotes.GATHER", 1.0)
    simulator = simulate(rules)
    report = by_the_steps(settings_of(tmp_path, simulator, **PATIENT), [SYMBOL])
    assert report["success"], report["problems"]
    assert difference(tmp_path, undisturbed.contents) == []
    assert broken(tmp_path) == []
    assert set(asked(simulator.counters.log).values()) == {1}, "waiting was enough"


THROUGH_DAGSTER = ("pacing violations", "silent quotes", "1100 for long")

RUNS = [
    *(pytest.param(by_the_steps, *case, id=name) for name, case in LASTING.items()),
    *(
        pytest.param(through_dagster, *LASTING[name], id=f"{name}, through Dagster")
        for name in ("pacing violations", "silent quotes", "1100 for long")
    ),
]
"""Every case by the steps, and one of each kind of ending (exhausted limits, failed requests, no connection) as a run
of Dagster."""


@pytest.mark.parametrize(("work", "rules", "hasty"), RUNS)
def test_a_lasting_fault_is_a_clear_failure_that_the_next_run_mends(
    work: Work, rules: list[Rule], hasty: dict[str, Any], simulate: Simulate, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    simulator = simulate(rules)
    sentences = failure(work, settings_of(tmp_path, simulator, **{**QUICK, "max_attempts": 2, **hasty}))
    assert sentences, "the run failed"
    assert all(sentence.strip().endswith(".") for sentence in sentences), sentences
    assert (tmp_path / "state.db").exists()
    assert false_no_data(tmp_path, undisturbed) == []

    simulator.faults.clear()
    settings = settings_of(tmp_path, simulator, **QUICK)
    report = work(settings, [SYMBOL])
    assert report["success"], report["problems"] or report["errors"]
    assert difference(tmp_path, undisturbed.contents, revisions=False) == [], (
        "what was incomplete before is among the revisions now"
    )
    assert broken(tmp_path) == []
    if work is through_dagster:
        assert broken_runs(settings) == []


NEXT_SESSION = "2024-06-04"

REFUSING: dict[str, tuple[Rule, str]] = {
    "error 321": ({"do": "validation"}, str(Condition.ERROR)),
    "no permission": ({"do": "not_permitted"}, str(Condition.NOT_PERMITTED)),
    "an unknown code": ({"do": "error", "code": 7777, "text": "Something new"}, str(Condition.ERROR)),
}


@pytest.mark.parametrize("nth", [1, 5], ids=["underlying", "option"])
@pytest.mark.parametrize(("what", "condition"), REFUSING.values(), ids=REFUSING.keys())
def test_refused_bars_are_told_in_every_run_and_not_asked_for_again(
    nth: int, what: Rule, condition: str, simulate: Simulate, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    simulator = simulate([{"on": "historical_data", "nth": nth, **what}])
    settings = settings_of(tmp_path, simulator, **QUICK)
    assert failure(by_the_steps, settings)
    assert condition in conditions(tmp_path).values()
    assert false_no_data(tmp_path, undisturbed) == []

    simulator.reset_counters()
    assert any(f"not requested again before {NEXT_SESSION}" in sentence for sentence in failure(by_the_steps, settings))
    assert simulator.counters.requests == {}


@pytest.mark.parametrize("nth", [1, 5], ids=["underlying", "option"])
def test_refused_bars_are_asked_for_again_when_it_is_time(
    nth: int, simulate: Simulate, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    simulator = simulate([{"on": "historical_data", "nth": nth, "do": "validation"}])
    settings = settings_of(tmp_path, simulator, no_data_retry_days=0, **QUICK)
    assert failure(by_the_steps, settings)
    report = by_the_steps(settings, [SYMBOL])
    assert report["success"], report["problems"]
    assert difference(tmp_path, undisturbed.contents, revisions=False) == []


def failure(work: Work, settings: Settings) -> list[str]:
    """What a run that fails says: what is missing, or why it could not go on and that the same may succeed later."""
    retryable, sentences = True, []
    try:
        report = work(settings, [SYMBOL])
    except BrokerError as error:
        retryable, sentences = error.retryable, [str(error)]
    else:
        assert not report["success"]
        if report["errors"]:
            retryable = all(run["retryable"] for run in report["runs"])
        sentences = [problem["sentence"] for problem in report["problems"]] + report["errors"]
    assert retryable
    return sentences
