"""The property over the wire: whatever a field of a message of TWS becomes, the other symbol sees nothing of it, the
next answers heal the first.

What a changed field leaves unreadable ends its request as `unreadable`, what it makes impossible is quarantined, what
stays possible is stored.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trading_assets_tests.quarantine.test_wire import RULES, Bench, Fields, bench_in
from trading_assets_tests.variants import mostly_slow

EXAMPLES = 8
ANSWERS = ("10", "17", "75")
"""Messages that a collection is made of: contract details and listings, bars, option parameters."""

VALUES = (
    "",
    "NaN",
    "1.7976931348623157E308",
    "-1",
    "-7.5",
    "0",
    "text",
    "Ω",
    "1,5",
    "9" * 31,
    "1e13",
    "true",
    "x" * 50_000,
)

TABLES = {
    "contracts": "select symbol, con_id, exchange, currency, long_name from contracts order by symbol",
    "equity_bars": (
        "select symbol, session, open, high, low, close, volume, wap, bar_count from equity_bars order by symbol,"
        " session"
    ),
    "option_chains": (
        'select symbol, con_id, local_symbol, expiry, strike, "right", multiplier, selected from option_chains order by'
        " con_id"
    ),
    "coverage": (
        "select symbol, dataset, bar_size, con_id, session, condition from coverage order by symbol, dataset, bar_size,"
        " con_id, session"
    ),
}


def contents(bench: Bench) -> dict[str, list[dict[str, Any]]]:
    return {name: bench.rows(query) for name, query in TABLES.items()}


def of(symbol: str, rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {name: [row for row in found if row["symbol"] == symbol] for name, found in rows.items()}


def one_field(chance: random.Random, said: list[str]) -> Callable[[Fields], Fields]:
    """Change one field of the first message of one kind, whatever its repetition then brings."""
    kind, number = chance.choice(ANSWERS), chance.randrange(3)
    seen = 0

    def change(fields: Fields) -> Fields:
        nonlocal seen
        if fields[0] != kind or said:
            return fields
        seen += 1
        if seen <= number and kind == "10":
            return fields
        place = chance.randrange(2, len(fields))
        how = chance.choice(("value", "value", "value", "drop", "double", "swap"))
        value = chance.choice(VALUES)
        said.append(f"message {kind}: {how} of field {place} ({fields[place][:30]!r}), {value[:30]!r}")
        if how == "drop":
            return [*fields[:place], *fields[place + 1 :]]
        if how == "double":
            return [*fields[: place + 1], *fields[place:]]
        if how == "swap" and place + 1 < len(fields):
            return [*fields[:place], fields[place + 1], fields[place], *fields[place + 2 :]]
        return [*fields[:place], value, *fields[place + 1 :]]

    return change


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    with bench_in(tmp_path_factory.mktemp("undisturbed")) as bench:
        bench.collect("che", rules=RULES)
        return contents(bench)


@pytest.mark.parametrize("seed", mostly_slow(range(EXAMPLES), lambda seed: seed < 3))
def test_a_changed_field_harms_nothing_but_its_answer(
    tmp_path: Path, undisturbed: dict[str, list[dict[str, Any]]], seed: int
) -> None:
    said: list[str] = []
    with bench_in(tmp_path / "lake") as bench:
        bench.change = one_field(random.Random(seed), said)
        bench.collect("che", rules=RULES)
        assert of("MSFT", contents(bench)) == of("MSFT", undisturbed), f"seed {seed}: {said}"
        bench.change = None
        for _ in range(2):  # the second run lists what the first had to leave to its time
            bench.move(0.2)
            bench.collect("che", rules=RULES, refresh=True)
        healed, whole = of("AAPL", contents(bench)), of("AAPL", undisturbed)
        assert [name for name in whole if healed[name] != whole[name]] == [], f"seed {seed}: {said}"
        assert bench.entries() == [], f"seed {seed}: {said}"
    assert said, "no message was changed"
