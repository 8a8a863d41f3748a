"""Bad answers over the wire: what can be stored is stored, the rest is kept, told and asked again; the other symbol
sees nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.journal import Journal
from trading_assets.broker.quarantine import Entry, Quarantine
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.quarantine import Examiner, make_due
from trading_assets.collecting.report import CollectionReport
from trading_assets.monitoring.alerts.kinds import AlertType
from trading_assets.monitoring.broker_issues import quarantined
from trading_assets.repositories import CoverageRepository, ParquetStore
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.rewriting import (
    Fields,
    Link,
    Rewriting,
    asks_about,
    collect,
    contract_asked,
    rows,
    settings_for,
)
from trading_assets_tests.variants import mostly_slow

NOW = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)
SYMBOLS = ["AAPL", "MSFT"]
RULES = {"max_days_to_expiry": 5, "strikes_around_spot": 1}
FIRST_BAR, BAR = 5, 8
"""Position of the first bar in a message of history, and fields of a bar: start, open, high, low, close, volume, wap,
count."""


class Bench:
    """A simulator behind a proxy; `change` rewrites the frames of the symbol AAPL while it is set."""

    def __init__(self, folder: Path, tws: Simulator) -> None:
        self.change: Callable[[Fields], Fields] | None = None
        self.now, self.folder, self.tws = NOW, folder, tws
        self.port = 0

    @property
    def settings(self) -> Settings:
        return settings_for(self.folder, self.port, self.now)

    def collect(self, steps: str, **options: Any) -> dict[str, CollectionReport]:
        return collect(self.settings, SYMBOLS, steps=steps, **options)

    def move(self, hours: float) -> None:
        self.now += timedelta(hours=hours)
        self.tws.clock.set(self.now)

    def rows(self, query: str) -> list[dict[str, Any]]:
        return rows(self.settings, query)

    def entries(self) -> list[Entry]:
        return Quarantine(self.settings.state_url).entries()

    def on_client(self, fields: Fields, link: Link) -> None:
        if asks_about(fields, "AAPL"):
            link.state.setdefault("aapl", set()).update(fields[1:4])

    def on_server(self, fields: Fields, link: Link) -> list[Fields] | None:
        mine = len(fields) > 1 and fields[1] in link.state.get("aapl", ())
        return [self.change(fields)] if self.change is not None and mine and fields[0] in ("17", "10", "75") else None


@contextmanager
def bench_in(folder: Path) -> Iterator[Bench]:
    with Simulator(GeneratedMarket(seed=42), now=NOW) as tws:
        bench = Bench(folder, tws)
        with Rewriting(tws.port, on_server=bench.on_server, on_client=bench.on_client) as wire:
            bench.port = wire.port
            yield bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path / "lake") as opened:
        yield opened


def of_bar(place: int, value: Callable[[Fields], str] | str, back: int = 3) -> Callable[[Fields], Fields]:
    """Another value in one field of a bar, counted from the last one; `value` may depend on the fields of the bar."""

    def change(fields: Fields) -> Fields:
        if fields[0] != "17":
            return fields
        begin = FIRST_BAR + BAR * (int(fields[4]) - back)
        bar = fields[begin : begin + BAR]
        bar[place] = value(bar) if callable(value) else value
        return [*fields[:begin], *bar, *fields[begin + BAR :]]

    return change


IMPOSSIBLE_BARS = {
    "low above open": ("low", of_bar(3, lambda bar: f"{float(bar[1]) + 0.01:.2f}")),
    "high below close": ("high", of_bar(2, lambda bar: f"{float(bar[4]) - 0.01:.2f}")),
    "NaN": ("close", of_bar(4, "NaN")),
    "infinity": ("high", of_bar(2, "Infinity")),
    "unset": ("open", of_bar(1, "1.7976931348623157E308")),
    "nothing": ("open", of_bar(1, "0")),
    "negative": ("low", of_bar(3, "-1")),
    "huge": ("high", of_bar(2, "1e15")),
    "negative volume": ("volume", of_bar(5, "-7")),
    "huge volume": ("volume", of_bar(5, "1e18")),
    "no trading day": ("start", of_bar(0, "20240527")),
    "no date": ("start", of_bar(0, "20240230")),
    "another date": ("start", of_bar(0, "20240603")),
    "a date long ago": ("start", of_bar(0, "19800102")),
    "a count of 31 digits": ("bar_count", of_bar(7, "1" * 31)),
}


@pytest.mark.parametrize(
    "name", mostly_slow(IMPOSSIBLE_BARS, lambda name: name in ("low above open", "unset", "huge volume", "no date"))
)
def test_an_impossible_bar_harms_nothing_but_itself(bench: Bench, name: str) -> None:
    field, bench.change = IMPOSSIBLE_BARS[name]
    reports = bench.collect("ce")
    counts = {
        row["symbol"]: row["bars"]
        for row in bench.rows("select symbol, count(*) as bars from equity_bars group by symbol")
    }
    assert counts["MSFT"] == 6
    assert 3 < counts["AAPL"] < 6
    lacking = bench.rows(
        "select symbol, session, condition, reason, retry_after from coverage where condition <> 'complete' order by"
        " session"
    )
    assert {row["symbol"] for row in lacking} == {"AAPL"}
    assert {row["condition"] for row in lacking} == {"error"}
    assert all(field in row["reason"] and row["retry_after"] == NOW + timedelta(hours=1) for row in lacking)
    assert [(problem.symbol, problem.outcome) for problem in reports["e"].problems] == [("AAPL", "quarantined")]
    (entry,) = bench.entries()
    assert field in entry.fields
    assert list(entry.sessions) == [row["session"] for row in lacking]
    assert len(Quarantine(bench.settings.state_url).answer(entry.id)["bars"]) > 5, "the raw answer is kept"
    (alert,) = quarantined(bench.settings, bench.now, SYMBOLS)
    assert (alert.alert_type, alert.subject) == (AlertType.ANSWER_QUARANTINED, "AAPL")
    assert field in alert.reason
    assert f"{entry.sessions[0]}" in alert.reason
    assert bench.collect("e")["e"].sent == 0, "it waits for its time"
    bench.change = None
    bench.move(24)
    assert bench.collect("ce")["e"].complete
    assert bench.rows("select distinct condition from coverage where dataset = 'equity_bars'") == [
        {"condition": "complete"}
    ]
    assert bench.rows("select symbol, count(*) as bars from equity_bars group by symbol order by symbol") == [
        {"symbol": "AAPL", "bars": 7},
        {"symbol": "MSFT", "bars": 7},
    ]
    assert quarantined(bench.settings, bench.now, SYMBOLS) == []


def test_bad_answers_are_asked_again_ever_less_often(bench: Bench) -> None:
    def always(fields: Fields) -> Fields:
        begin = fields.index("20240530") if "20240530" in fields else None
        return fields if begin is None else [*fields[: begin + 4], "NaN", *fields[begin + 5 :]]

    bench.change = always
    bench.collect("ce")
    waits = []
    for _ in range(3):
        (entry,) = bench.entries()
        wait = entry.retry_after - bench.now
        waits.append(wait.total_seconds() / 3600)
        bench.move(waits[-1] - 0.1)
        assert bench.collect("e")["e"].sent == 0
        bench.move(0.2)
        assert bench.collect("e")["e"].sent == 1
    assert waits == [1, 2, 4]
    assert bench.entries()[0].failures == 4


def test_a_bad_answer_about_what_is_stored_leaves_it_and_is_asked_again(bench: Bench) -> None:
    bench.collect("ce")
    stored = bench.rows("select * from equity_bars order by symbol, session")
    _, bench.change = IMPOSSIBLE_BARS["low above open"]
    bench.collect("e", refresh=True)
    assert len(bench.entries()) == 1
    assert bench.rows("select * from equity_bars order by symbol, session") == stored
    bench.change = None
    assert bench.collect("e")["e"].sent == 0, "not before its time"
    bench.move(1.1)
    assert bench.collect("e")["e"].sent == 1
    assert bench.entries() == []


def test_retry_makes_it_due_now(bench: Bench) -> None:
    _, bench.change = IMPOSSIBLE_BARS["NaN"]
    bench.collect("ce")
    bench.change = None
    with Archive(bench.settings) as archive:
        make_due(archive, bench.entries()[0].id)
    assert bench.collect("e")["e"].complete
    assert bench.entries() == []


def test_a_discarded_answer_leaves_its_session_missing(bench: Bench) -> None:
    _, bench.change = IMPOSSIBLE_BARS["NaN"]
    bench.collect("ce")
    Quarantine(bench.settings.state_url).discard(bench.entries()[0].id)
    assert quarantined(bench.settings, bench.now, SYMBOLS) == []
    (row,) = bench.rows("select condition from coverage where dataset = 'equity_bars' and condition <> 'complete'")
    assert row["condition"] == "error"
    bench.change = None
    bench.move(24)
    assert bench.collect("ce")["e"].complete


def test_unset_numbers_are_null(bench: Bench) -> None:
    def unset(fields: Fields) -> Fields:
        changes = (
            (5, "1.7976931348623157E308", 2),
            (5, "-1", 3),
            (5, "NaN", 4),
            (6, "1.7976931348623157E308", 5),
            (6, "-1", 6),
        )
        for place, value, back in changes:
            fields = of_bar(place, value, back)(fields)
        return fields

    bench.change = unset
    assert bench.collect("ce")["e"].complete
    stored = bench.rows("select volume, wap from equity_bars where symbol = 'AAPL' order by session")
    assert [row["volume"] is None for row in stored] == [False, False, True, True, True, False]
    assert [row["wap"] is None for row in stored] == [True, True, False, False, False, False]


def of_option(change: Callable[[Fields, int], None]) -> Callable[[Fields], Fields]:
    """Another value in the first listed option of an answer; `change` gets the fields and the position of the
    strike."""
    done: list[str] = []

    def changed(fields: Fields) -> Fields:
        if fields[0] != "10" or "OPT" not in fields or done:
            return fields
        done.append(fields[1])
        fields = list(fields)
        change(fields, fields.index("OPT") + 2)
        return fields

    return changed


def put(offset: int, value: str) -> Callable[[Fields, int], None]:
    return lambda fields, strike: fields.__setitem__(strike + offset, value)


CON_ID = 7
"""Fields from the strike to the contract id: strike, right, exchange, currency, local symbol, market name, trading
class, contract id."""

IMPOSSIBLE_OPTIONS = {
    "an expiry that is no date": ("last_trade", put(-1, "20249907")),
    "a strike unset": ("strike", put(0, "1.7976931348623157E308")),
    "an exchange of 10 MB": ("exchange", put(2, "x" * 10_000_000)),
    "a con_id of 31 digits": ("con_id", put(CON_ID, "9" * 31)),
}
"""Some of those of `collecting.examine.test_contracts`, over the wire."""

OPTIONS = "select symbol, local_symbol, con_id, strike, selected, bid from option_chains order by con_id"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    with bench_in(tmp_path_factory.mktemp("undisturbed")) as bench:
        bench.collect("ch", rules=RULES)
        return bench.rows(OPTIONS)


@pytest.mark.parametrize("name", IMPOSSIBLE_OPTIONS)
def test_an_impossible_option_harms_nothing_but_itself(
    bench: Bench, undisturbed: list[dict[str, Any]], name: str
) -> None:
    field, change = IMPOSSIBLE_OPTIONS[name]
    bench.change = of_option(change)
    bench.collect("ch", rules=RULES)
    stored = bench.rows(OPTIONS)
    assert [row for row in stored if row["symbol"] == "MSFT"] == [row for row in undisturbed if row["symbol"] == "MSFT"]
    assert len(stored) == len(undisturbed) - 1, "all others of the listing are stored"
    (coverage,) = bench.rows(
        "select symbol, condition, reason from coverage where dataset = 'option_chains' and condition <> 'complete'"
    )
    assert (coverage["symbol"], coverage["condition"]) == ("AAPL", "partial")
    assert field in coverage["reason"]
    (entry,) = bench.entries()
    assert entry.fields == [field]
    assert bench.collect("h", rules=RULES)["h"].sent == 0, "nothing of it is asked before its time"
    (coverage,) = bench.rows("select condition from coverage where dataset = 'option_chains' and symbol = 'AAPL'")
    assert coverage["condition"] == "partial", "and it is not complete until then"
    bench.change = None
    bench.move(0.2)
    assert bench.collect("h", rules=RULES)["h"].complete
    assert bench.rows(OPTIONS) == undisturbed
    assert bench.entries() == []


@pytest.mark.parametrize(
    ("place", "value", "field"), [(CON_ID, "0", "con_id"), (CON_ID, "9" * 31, "con_id"), (3, "EUR", "currency")]
)
def test_an_impossible_contract_is_no_missing_contract(bench: Bench, place: int, value: str, field: str) -> None:
    def change(fields: Fields) -> Fields:
        if fields[0] != "10" or "STK" not in fields:
            return fields
        position = fields.index("STK") + 2 + place
        return [*fields[:position], value, *fields[position + 1 :]]

    bench.change = change
    bench.collect("ce")
    (row,) = bench.rows(
        "select symbol, condition, reason, retry_after from coverage where dataset = 'contracts' and condition <>"
        " 'complete'"
    )
    assert (row["symbol"], row["condition"], row["retry_after"]) == ("AAPL", "error", NOW + timedelta(minutes=5))
    assert field in row["reason"]
    assert bench.rows("select distinct symbol from equity_bars") == [{"symbol": "MSFT"}]
    bench.change = None
    bench.move(0.2)
    assert all(report.complete for report in bench.collect("ce").values())
    assert bench.entries() == []


@pytest.mark.parametrize(("what", "field"), [("20249907", "expirations"), ("strike", "strikes")])
def test_parameters_with_an_impossible_value_give_the_others(bench: Bench, what: str, field: str) -> None:
    def change(fields: Fields) -> Fields:
        if fields[0] != "75":
            return fields
        if field == "expirations":
            return [*fields[:7], what, *fields[8:]]
        return [*fields[:-1], "-5"]

    bench.change = change
    bench.collect("ch", rules=RULES)
    (row,) = bench.rows(
        "select symbol, condition, reason from coverage where dataset = 'option_chains' and condition <> 'complete'"
    )
    assert (row["symbol"], row["condition"]) == ("AAPL", "partial")
    assert field in row["reason"]
    bench.change = None
    bench.move(0.2)
    assert bench.collect("h", rules=RULES)["h"].complete
    assert bench.entries() == []


def asked_quotes(fields: Fields, link: Link) -> None:
    """Note which quotes of AAPL are asked, by request id: the security type."""
    contract = contract_asked(fields) if fields[0] == "1" else None
    if contract is not None and contract.symbol == "AAPL":
        link.state.setdefault("quotes", {})[fields[2]] = contract.sec_type


def impossible_asks(sec_type: str) -> Callable[[Fields, Link], list[Fields] | None]:
    """The first quote of AAPL of that type asks an impossible price."""
    chosen: list[str] = []

    def change(fields: Fields, link: Link) -> list[Fields] | None:
        if fields[0] != "1" or fields[3] != "2" or link.state.get("quotes", {}).get(fields[2]) != sec_type:
            return None
        chosen.append(fields[2])
        return [[*fields[:4], "1e15", *fields[5:]]] if fields[2] == chosen[0] else None

    return change


def collect_quotes(bench: Bench, sec_type: str, steps: str) -> CollectionReport:
    with Rewriting(bench.tws.port, on_server=impossible_asks(sec_type), on_client=asked_quotes) as wire:
        return collect(settings_for(bench.folder, wire.port, bench.now), SYMBOLS, steps=steps, rules=RULES)["h"]


def test_a_bad_quote_waits_for_its_time_and_is_over_with_its_session(bench: Bench) -> None:
    collect_quotes(bench, "OPT", "ch")
    (entry,) = bench.entries()
    assert (entry.kind, entry.retry_after) == ("quote", NOW + timedelta(minutes=5))
    chain = "select condition, retry_after from coverage where dataset = 'option_chains' and symbol = 'AAPL'"
    assert bench.rows(chain) == [{"condition": "partial", "retry_after": NOW + timedelta(minutes=5)}]
    assert collect_quotes(bench, "OPT", "h").sent == 0
    assert bench.rows(chain) == [{"condition": "partial", "retry_after": NOW + timedelta(minutes=5)}]
    bench.move(0.1)
    assert collect_quotes(bench, "OPT", "h").sent == 1
    (entry,) = bench.entries()
    assert (entry.failures, entry.retry_after - bench.now) == (2, timedelta(minutes=10))
    assert len(quarantined(bench.settings, bench.now, SYMBOLS)) == 1
    bench.move(24)
    assert entry.state(bench.now) == "expired"
    assert quarantined(bench.settings, bench.now, SYMBOLS) == []


def test_a_bad_quote_that_is_retried_makes_the_chain_complete(bench: Bench) -> None:
    collect_quotes(bench, "OPT", "ch")
    with Archive(bench.settings) as archive:
        make_due(archive, bench.entries()[0].id)
    report = bench.collect("h", rules=RULES)["h"]
    assert report.sent == 1
    assert report.complete
    assert bench.entries() == []


def test_after_a_bad_price_of_the_underlying_nothing_of_its_chain_is_asked_before_its_time(bench: Bench) -> None:
    collect_quotes(bench, "STK", "ch")
    assert collect_quotes(bench, "STK", "h").sent == 0
    (row,) = bench.rows(
        "select condition, retry_after from coverage where dataset = 'option_chains' and symbol = 'AAPL'"
    )
    assert row == {"condition": "error", "retry_after": NOW + timedelta(minutes=5)}
    bench.move(0.1)
    assert bench.collect("h", rules=RULES)["h"].complete
    assert bench.entries() == []


def test_contract_details_of_which_a_part_is_bad_are_asked_again_at_their_time(bench: Bench) -> None:
    def second(fields: Fields, link: Link) -> list[Fields] | None:
        mine = fields[1] in link.state.get("aapl", ()) if len(fields) > 1 else False
        return [fields, [*fields[:12], "0", *fields[13:]]] if mine and fields[0] == "10" else None

    with Rewriting(bench.tws.port, on_server=second, on_client=bench.on_client) as wire:
        collect(settings_for(bench.folder, wire.port, bench.now), SYMBOLS, steps="c")
    assert [entry.kind for entry in bench.entries()] == ["contract_details"]
    assert bench.collect("c")["c"].sent == 0
    bench.move(0.1)
    assert bench.collect("c")["c"].sent == 1
    assert bench.entries() == []
    assert bench.rows("select distinct condition from coverage where dataset = 'contracts'") == [
        {"condition": "complete"}
    ]


@pytest.mark.parametrize(
    "place", [(ParquetStore, "upsert"), (CoverageRepository, "record"), (Examiner, "settle"), (Journal, "applied")]
)
@pytest.mark.parametrize("step", mostly_slow(["h", "e"], lambda step: step == "e"))
def test_a_run_killed_while_it_writes_a_bad_answer_comes_to_the_same_lake(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, place: tuple[type, str], step: str
) -> None:
    listing, (_, bar) = of_option(put(0, "0")), IMPOSSIBLE_BARS["NaN"]
    bench.collect("ce" if step == "h" else "c")

    def change(fields: Fields) -> Fields:
        return bar(fields) if fields[0] == "17" else listing(fields)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    bench.change = change
    with monkeypatch.context() as patch:
        patch.setattr(*place, dies)
        with pytest.raises(KeyboardInterrupt):
            bench.collect(step, rules=RULES)
    bench.collect(step, rules=RULES)
    kept = Quarantine(bench.settings.state_url).entries(closed=True)
    assert len(kept) == 1
    lacking = bench.rows("select condition from coverage where condition <> 'complete'")
    assert bool(lacking) == (kept[0].closed_at is None), "what is in quarantine is lacking, and nothing else"
    if step == "h" and not lacking:
        assert bench.rows("select count(*) as n from option_chains where symbol = 'AAPL'") == [{"n": 64}], (
            "it was listed anew in the second run"
        )
    bench.change = None
    bench.move(1.1)
    assert bench.collect(step, rules=RULES)[step].complete
    assert bench.entries() == []
