"""A run that another one overtakes between its plan and a question: the answers are in the lake by then, and nothing is asked or lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from trading_assets.broker.outcomes import Result
from trading_assets.broker.requests import Request
from trading_assets.collecting.archive import Archive
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import SYMBOL, Undisturbed, settings_of
from trading_assets_tests.endurance.lakes import asked, broken, difference

QUESTIONS = ("contract", "parameters", "listings", "price", "quotes", "underlying's bars", "options' bars")
"""What a run asks in turn; an empty question is none."""


class Overtaken(Archive):
    """Lets another run collect everything just before the n-th question of this one is asked."""

    def __init__(self, settings: Settings, nth: int) -> None:
        super().__init__(settings)
        self._left = nth

    def ask(self, requests: Sequence[Request], *arguments: object, **named: object) -> list[Result]:
        if requests:
            self._left -= 1
            if not self._left:
                assert by_the_steps(self.settings, [SYMBOL])["success"]
        return super().ask(requests, *arguments, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("nth", range(1, 1 + len(QUESTIONS)), ids=QUESTIONS)
def test_overtaken_before_a_question(nth: int, simulator: Simulator, undisturbed: Undisturbed, tmp_path: Path) -> None:
    simulator.reset_counters()
    settings = settings_of(tmp_path, simulator)
    report = by_the_steps(settings, [SYMBOL], lambda given: Overtaken(given, nth))
    assert report["success"], report["problems"]
    assert difference(tmp_path, undisturbed.contents) == []
    assert broken(tmp_path) == []
    assert set(asked(simulator.counters.log).values()) == {1}
    assert set(asked(simulator.counters.log)) == undisturbed.questions
