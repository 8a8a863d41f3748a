"""Answers that TWS gives in a form nobody can read, collected through all steps: nothing becomes absent, and the rest
is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.collecting.backoff import backoff_of
from trading_assets.monitoring.gaps import find_gaps
from trading_assets.repositories.conditions import symbol_conditions
from trading_assets.sessions import calendar
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.rewriting import Fields, Link, Rewriting, asks_about, collect, rows, settings_for

pytestmark = pytest.mark.timeout(600)

NOW = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)
NEXT = datetime(2024, 6, 4, 20, 30, tzinfo=UTC)

COVERAGE = (
    "SELECT dataset, condition, reason, broker_code, retry_after FROM coverage WHERE symbol = $symbol ORDER BY dataset"
)


class Spoiler:
    """Spoils what `spoil` gives another form for, of one symbol's answers, while it is `on`."""

    def __init__(self, spoil: Callable[[Fields], list[Fields] | None]) -> None:
        self.spoil = spoil
        self.on = True
        self._ids: set[str] = set()

    def on_client(self, fields: Fields, _link: Link) -> None:
        if fields[0] in ("1", "9", "20", "78") and asks_about(fields, "AAPL"):
            self._ids.add(fields[1 if fields[0] in ("20", "78") else 2])

    def on_server(self, fields: Fields, _link: Link) -> list[Fields] | None:
        return self.spoil(fields) if self.on and self._ids.intersection(fields[1:3]) else None


def zoned(fields: Fields) -> list[Fields] | None:
    """Bar times in the zone of TWS instead of epoch seconds."""
    if fields[0] != "17":
        return None
    text = datetime.fromtimestamp(int(fields[5]), UTC).strftime("%Y%m%d %H:%M:%S US/Eastern")
    return [[*fields[:5], text, *fields[6:]]]


def without_prices(fields: Fields) -> list[Fields] | None:
    return [[*fields[:6], "", "", "", "", *fields[10:]]] if fields[0] == "17" else None


def no_bars_promised(fields: Fields) -> list[Fields] | None:
    return [[*fields[:4], "0", *fields[5:]]] if fields[0] == "17" else None


def one_short_option(fields: Fields) -> list[Fields] | None:
    return (
        [fields[:20]] if fields[0] == "10" and fields[3] == "OPT" and fields[5] == "77" and fields[6] == "C" else None
    )


def short_stock(fields: Fields) -> list[Fields] | None:
    return [fields[:20]] if fields[0] == "10" and fields[3] == "STK" else None


def only_the_end(fields: Fields) -> list[Fields] | None:
    return [] if fields[0] == "10" and fields[3] == "STK" else None


def parameters_without_a_count(fields: Fields) -> list[Fields] | None:
    return [[*fields[:6], "x", *fields[7:]]] if fields[0] == "75" else None


def greeks_in_words(fields: Fields) -> list[Fields] | None:
    return [[*fields[:5], "low", *fields[6:]]] if fields[0] == "21" else None


def errors_in_words(fields: Fields) -> list[Fields] | None:
    return [[*fields[:3], "code", *fields[4:]]] if fields[0] == "4" else None


CASES: dict[str, tuple[Any, str, dict[str, Any], str, str, str]] = {
    "zoned bar times": (zoned, "che", {"bar_sizes": ("30 mins",)}, "equity_bars", "historicalData (17)", "error"),
    "bars without prices": (without_prices, "che", {}, "equity_bars", "historicalData (17)", "error"),
    "bars that are not announced": (no_bars_promised, "cheo", {}, "equity_bars", "historicalData (17)", "error"),
    "one option of a listing": (one_short_option, "ch", {}, "option_chains", "contractData (10)", "partial"),
    "the stock": (short_stock, "c", {}, "contracts", "contractData (10)", "error"),
    "the stock, gone": (only_the_end, "c", {}, "contracts", "contractDataEnd (52)", "error"),
    "option parameters": (
        parameters_without_a_count,
        "ch",
        {},
        "option_chains",
        "securityDefinitionOptionParameter (75)",
        "error",
    ),
    "greeks": (greeks_in_words, "ch", {}, "option_chains", "tickOptionComputation (21)", "partial"),
}
"""By name: what is spoilt, which steps are collected and how, the dataset that lacks it, the message's name, and the
condition."""


@pytest.mark.parametrize(("spoil", "steps", "how", "dataset", "message", "condition"), CASES.values(), ids=CASES.keys())
def test_an_unread_answer_is_an_error_of_its_symbol_until_it_is_read(
    spoil: Any, steps: str, how: dict[str, Any], dataset: str, message: str, condition: str, tmp_path: Path
) -> None:
    spoiler = Spoiler(spoil)
    with (
        Simulator(GeneratedMarket(seed=42), now=NOW) as tws,
        Rewriting(tws.port, on_server=spoiler.on_server, on_client=spoiler.on_client) as wire,
    ):
        settings = settings_for(tmp_path, wire.port, NOW)
        reports = collect(settings, ["AAPL", "MSFT"], steps, **how)

        spoilt = next(report for report in reports.values() if report.dataset == dataset)
        assert spoilt.outcomes[OutcomeKind.UNREADABLE] >= 1
        problem = next(problem for problem in spoilt.problems if problem.outcome == OutcomeKind.UNREADABLE)
        assert (problem.symbol, message in problem.sentence) == ("AAPL", True), problem.sentence
        assert "This is not a statement that there is no data." in problem.sentence
        assert not any("has no listed options" in note for report in reports.values() for note in report.notes)

        lacking = [row for row in rows(settings, COVERAGE.replace("$symbol", "'AAPL'")) if row["dataset"] == dataset]
        assert {row["condition"] for row in lacking} == {condition}
        assert all(message in row["reason"] for row in lacking)
        assert {row["retry_after"] for row in lacking} == {None}, "asked again by the next run"
        other = rows(settings, COVERAGE.replace("$symbol", "'MSFT'"))
        assert {row["condition"] for row in other if row["dataset"] == dataset} == {"complete"}

        spoiler.on = False
        healed = collect(settings, ["AAPL", "MSFT"], steps, **how)
        assert all(report.complete for report in healed.values())
        assert {row["condition"] for row in rows(settings, COVERAGE.replace("$symbol", "'AAPL'"))} <= {
            "complete",
            "no_trades",
        }
        assert {row["condition"] for row in rows(settings, COVERAGE.replace("$symbol", "'MSFT'"))} <= {
            "complete",
            "no_trades",
        }


def test_unread_errors_are_no_answers(tmp_path: Path) -> None:
    """A stock that TWS does not know, told in a form nobody can read: not `no_contract`, which would be believed for a
    month."""
    spoiler = Spoiler(errors_in_words)
    with (
        Simulator(GeneratedMarket(seed=42), now=NOW) as tws,
        Rewriting(tws.port, on_server=lambda fields, _link: spoiler.spoil(fields)) as wire,
    ):
        settings = settings_for(tmp_path, wire.port, NOW)
        report = collect(settings, ["ZZZZZZ"], "c")["c"]
    assert report.outcomes == {OutcomeKind.UNREADABLE: 1}
    [row] = rows(settings, "SELECT condition, reason FROM coverage")
    assert row["condition"] == "error"
    assert "No security definition" in row["reason"]


def test_what_could_not_be_read_is_asked_again_by_itself_after_a_wait(tmp_path: Path) -> None:
    spoiler = Spoiler(without_prices)
    with (
        Simulator(GeneratedMarket(seed=42), now=NOW) as tws,
        Rewriting(tws.port, on_server=spoiler.on_server, on_client=spoiler.on_client) as wire,
    ):
        settings = settings_for(tmp_path, wire.port, NOW)
        collect(settings, ["AAPL"], "ce")
        gaps = [gap for gap in find_gaps(settings, now=NEXT) if gap.dataset == "equity_bars"]
        assert gaps, "it may be asked for"
        first = backoff_of(settings, ["AAPL"])
        assert first.until is not None
        assert find_gaps(settings, now=NOW, excluding=first) == [], "but not at once, by itself"
        collect(settings, ["AAPL"], "e")
        assert backoff_of(settings, ["AAPL"]).failures == first.failures + 1


def test_a_session_without_a_contract_that_was_read_is_answered_by_the_next(tmp_path: Path) -> None:
    spoiler = Spoiler(short_stock)
    with (
        Simulator(GeneratedMarket(seed=42), now=NOW) as tws,
        Rewriting(tws.port, on_server=spoiler.on_server, on_client=spoiler.on_client) as wire,
    ):
        collect(settings_for(tmp_path, wire.port, NOW), ["AAPL"], "c")
        spoiler.on = False
        tws.clock.set(NEXT)
        settings = settings_for(tmp_path, wire.port, NEXT)
        report = collect(settings, ["AAPL"], "ch")
    assert all(step.complete for step in report.values())
    told = symbol_conditions(settings.data_dir, calendar(), NEXT, ["AAPL"], datasets=["contracts"]).to_pylist()
    assert [(f"{row['session']}", row["condition"]) for row in told] == [
        ("2024-06-03", "complete"),
        ("2024-06-04", "complete"),
    ]


def test_options_do_not_vanish_because_tws_names_none(tmp_path: Path) -> None:
    """The end of option parameters without any says "no options"; not of a symbol whose contracts were listed the day
    before."""
    spoiler = Spoiler(lambda fields: [] if fields[0] == "75" else None)
    spoiler.on = False
    with (
        Simulator(GeneratedMarket(seed=42), now=NOW) as tws,
        Rewriting(tws.port, on_server=spoiler.on_server, on_client=spoiler.on_client) as wire,
    ):
        collect(settings_for(tmp_path, wire.port, NOW), ["AAPL"], "ch")
        spoiler.on = True
        tws.clock.set(NEXT)
        settings = settings_for(tmp_path, wire.port, NEXT)
        report = collect(settings, ["AAPL"], "ch")["h"]
        assert not any("has no listed options" in note for note in report.notes)
        (problem,) = report.problems
        assert (problem.symbol, problem.outcome) == ("AAPL", OutcomeKind.UNREADABLE)
        assert "securityDefinitionOptionParameterEnd (76)" in problem.sentence
        last = (
            "SELECT condition, retry_after FROM coverage WHERE dataset = 'option_chains' ORDER BY session DESC LIMIT 1"
        )
        assert rows(settings, last) == [{"condition": "error", "retry_after": None}]

        spoiler.on = False
        assert collect(settings, ["AAPL"], "h")["h"].complete
        assert rows(settings, last) == [{"condition": "complete", "retry_after": None}]

        spoiler.on = True
        later = NEXT + timedelta(days=14)
        tws.clock.set(later)
        gone = collect(settings_for(tmp_path, wire.port, later), ["AAPL"], "ch")["h"]
        assert gone.notes == ["AAPL has no listed options."], "what is not contradicted is believed"
