"""A run in somebody else's process leaves it as it was, says nothing of libraries, and shows how far it is."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trading_assets.jobs import DataPipelineOrchestrator
from trading_assets.jobs.surroundings import undisturbed
from trading_assets.resources.instance import dagster_instance
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.scenarios.desk import Desk, at, set_up

FEW = {"option_chains": {"selection": {"max_days_to_expiry": 0, "strikes_around_spot": 1}}}


@pytest.fixture(scope="module")
def tws() -> Iterator[Simulator]:
    with Simulator(GeneratedMarket(seed=42), now=at("2025-11-17T16:40-05:00"), limits=False) as simulator:
        yield simulator


@pytest.fixture
def desk(tws: Simulator, tmp_path: Path) -> Desk:
    """AAPL, set up with few contracts: a run that has nothing to ask."""
    return set_up(tmp_path / "lake", tws, "AAPL", FEW)


def surroundings() -> dict[str, Any]:
    loggers = {
        name: (logger.level, list(logger.handlers), logger.propagate, logger.disabled)
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    }
    return {
        "root": (logging.root.level, list(logging.root.handlers)),
        "loggers": loggers,
        "raise": logging.raiseExceptions,
        "disabled": logging.root.manager.disable,
        "warnings": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "signals": {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)},
        "hooks": (sys.excepthook, threading.excepthook),
    }


@pytest.fixture
def handlers(tmp_path: Path) -> Iterator[logging.FileHandler]:
    """What a caller may have: a log file that is written anew, a handler of SIGTERM, a level of Dagster's logger."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    handler = logging.FileHandler(tmp_path / "mine.log", mode="w")
    logging.getLogger("mine").addHandler(handler)
    logging.getLogger("dagster").setLevel(logging.ERROR)
    yield handler
    logging.getLogger("dagster").setLevel(logging.NOTSET)
    logging.getLogger("mine").removeHandler(handler)
    handler.close()
    signal.signal(signal.SIGTERM, before)


def test_a_call_leaves_logging_warnings_and_signals_as_they_were(desk: Desk, handlers: logging.FileHandler) -> None:
    before = surroundings()
    assert desk.update().success
    after = surroundings()
    assert {name: after["loggers"][name] for name in before["loggers"]} == before.pop("loggers")
    after.pop("loggers")
    assert after == before
    logging.getLogger("mine").error("still written")
    assert Path(handlers.baseFilename).read_text() == "still written\n"


def test_the_last_of_several_runs_sets_the_filters_back() -> None:
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with undisturbed():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with undisturbed():
        thread.start()
        inside.wait()
    assert list(warnings.filters) != before, "the other run is not over"
    leave.set()
    thread.join()
    assert list(warnings.filters) == before


pytestmark = pytest.mark.slow

CALLS = """
import asyncio, sys, threading
import trading_assets as ta

def update(progress=None):
    return ta.DataPipelineOrchestrator(progress=progress).daily_update(["AAPL"])["AAPL"]

def show(results):
    print([result.success for result in results])

async def cell():
    show(update(progress=False))
    show(await asyncio.to_thread(update, progress=True))

thread = threading.Thread(target=lambda: show(update()))  # the libraries are imported outside the main thread
thread.start(); thread.join()
asyncio.run(cell())
"""


def test_a_script_a_thread_and_a_notebook_print_no_warning(desk: Desk) -> None:
    """In a process of its own: the first import is in a thread, a loop runs as in a notebook, warnings are shown.

    The orchestrator is made without arguments: the settings say where the data is.
    """
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", CALLS],
        env={"PATH": "", **desk.settings.environment()},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.splitlines() == ["[True, True, True, True]"] * 3
    steps = [line.partition(" of AAPL: ")[0] for line in done.stderr.splitlines()]
    assert steps == ["contracts", "option_chains", "equity_bars", "option_bars"], "one line a step, where asked for"


def test_without_lineage_the_run_is_recorded_all_the_same(desk: Desk) -> None:
    assert DataPipelineOrchestrator(enable_lineage=False, settings=desk.settings).update(["AAPL"], FEW).success
    with dagster_instance(desk.settings) as instance:
        assert [run.job_name for run in instance.get_runs()] == ["daily_update", "setup_symbol"]


def test_a_function_is_given_each_line(desk: Desk) -> None:
    lines: list[str] = []
    DataPipelineOrchestrator(settings=desk.settings, progress=lines.append).update(["AAPL"], FEW)
    assert len(lines) == 4
    assert re.fullmatch(r"contracts of AAPL: 0 rows, 0 requests sent \(\d+ s\)", lines[0])
