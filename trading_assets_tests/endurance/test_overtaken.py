"""A run that another one overtakes between its plan and a question: the answers are in the lake by then, and nothing is
asked or lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.outcomes import Result
from trading_assets.broker.requests import Request
from trading_assets.collecting.archive import Archive
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.endurance.collect import by_the_steps, steps
from trading_assets_tests.endurance.conftest import SYMBOL, Undisturbed, settings_of
from trading_assets_tests.endurance.lakes import asked, broken, difference
from trading_assets_tests.variants import mostly_slow

QUESTIONS = ("contract", "parameters", "listings", "price", "quotes", "underlying's bars", "options' bars")
"""What a run asks in turn; an empty question is none."""


DATASETS = ("contracts", "option_chains", "equity_bars", "option_bars")


class Overtaken(Archive):
    """Lets something happen just before the n-th question of this run is asked."""

    def __init__(self, settings: Settings, nth: int, happen: Callable[[], object]) -> None:
        super().__init__(settings)
        self._left = nth
        self._happen = happen

    def ask(self, requests: Sequence[Request], *arguments: Any, **named: Any) -> list[Result]:
        if requests:
            self._left -= 1
            if not self._left:
                self._happen()
        return super().ask(requests, *arguments, **named)


@pytest.mark.parametrize("nth", mostly_slow(range(1, 1 + len(QUESTIONS)), lambda nth: nth % 3 == 1), ids=QUESTIONS)
def test_another_run_collects_everything_before_a_question(
    nth: int, simulator: Simulator, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    simulator.reset_counters()
    settings = settings_of(tmp_path, simulator)

    def overtake() -> None:
        assert by_the_steps(settings, [SYMBOL])["success"]

    report = by_the_steps(settings, [SYMBOL], lambda given: Overtaken(given, nth, overtake))
    assert report["success"], report["problems"]
    check_all_was_asked_once(settings, simulator, undisturbed)


@pytest.mark.parametrize("step", range(len(DATASETS)), ids=DATASETS)
def test_answers_that_came_before_the_plan_are_stored_after_it(
    step: int, simulator: Simulator, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    simulator.reset_counters()
    settings = settings_of(tmp_path, simulator)
    with Archive(settings) as other:
        collections = steps(other, [SYMBOL])
        for collect in collections[:step]:
            other.write(collect())
        answered = collections[step]()
        report = by_the_steps(settings, [SYMBOL], lambda given: Overtaken(given, 1, lambda: other.write(answered)))
    assert report["success"], report["problems"]
    check_all_was_asked_once(settings, simulator, undisturbed)


def check_all_was_asked_once(settings: Settings, simulator: Simulator, undisturbed: Undisturbed) -> None:
    """The lake is that of one run alone, and so are the questions."""
    assert difference(settings.data_dir, undisturbed.contents) == []
    assert broken(settings.data_dir) == []
    assert asked(simulator.counters.log) == dict.fromkeys(undisturbed.questions, 1)
