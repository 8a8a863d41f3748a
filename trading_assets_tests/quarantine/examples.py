"""The property: whatever an answer of a collection becomes, it harms nothing but itself, and the next good answer makes
it good.

One example changes one answer of each symbol but one, all in the same step, so that four answers cost one collection.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from trading_assets.broker.quarantine import Entry, Quarantine
from trading_assets.broker.requests import Request
from trading_assets_tests.quarantine.mutations import mutated
from trading_assets_tests.quarantine.replay import (
    NOW,
    STEPS,
    SYMBOLS,
    Recording,
    collect,
    contents,
    lake_before,
    of_symbol,
    settings_of,
)

MUTATED = len(SYMBOLS) - 1
"""Answers that one example changes."""


def example(recording: Recording, seed: int, folder: Path) -> int:
    """Collect with changed answers, then with the right ones; how many answers were quarantined. Raises
    `AssertionError` that says what was done."""
    chance = random.Random(seed)
    letter = chance.choice("cheo")
    dataset = STEPS[letter]
    other, *changed = chance.sample(SYMBOLS, len(SYMBOLS))
    chosen = {_choice(recording, letter, symbol, chance) for symbol in sorted(changed)}
    done: dict[str, str] = {}

    def change(request: Request, payload: Any) -> Any:
        if request.key not in chosen:
            return payload
        payload, done[request.symbol] = mutated(payload, chance)
        return payload

    with lake_before(recording, letter, folder) as lake:
        report = collect(lake, recording, letter, change)
        said = f"seed {seed}, {dataset}: {done}"
        assert sorted(done) == sorted(changed), f"{said}: not every answer was asked for"
        rows = contents(lake, [dataset])
        assert of_symbol(rows, other, [dataset]) == of_symbol(recording.rows, other, [dataset]), (
            f"{said}: {other} is harmed"
        )
        entries = _open(lake)
        told = {problem.symbol for problem in report.problems}
        for entry in entries:
            assert entry.symbol in changed, f"{said}: {entry} is of the wrong symbol"
            assert entry.faults, f"{said}: {entry} names no field"
            assert entry.sessions, f"{said}: {entry} names no session"
            assert entry.symbol in told, f"{said}: nobody is told of {entry}"
        lacking = {row["symbol"] for row in rows["coverage"] if row["condition"] in ("error", "partial")}
        assert {entry.symbol for entry in entries} <= lacking, f"{said}: coverage does not say what is missing"
        collect(lake, recording, letter, refresh=True)
        assert not _open(lake), f"{said}: still in quarantine: {_open(lake)}"
        healed = contents(lake, [dataset])
        for symbol in SYMBOLS:
            mine, whole = of_symbol(healed, symbol, [dataset]), of_symbol(recording.rows, symbol, [dataset])
            assert [name for name in whole if mine[name] != whole[name]] == [], f"{said}: {symbol} does not recover"
    return len(entries)


def _choice(recording: Recording, letter: str, symbol: str, chance: random.Random) -> str:
    return chance.choice(
        sorted(
            key
            for key, (request, _, payload) in recording.answers[letter].items()
            if request.symbol == symbol and payload
        )
    )


def _open(lake: Path) -> list[Entry]:
    return [entry for entry in Quarantine(settings_of(lake).state_url).entries() if entry.state(NOW) == "open"]
