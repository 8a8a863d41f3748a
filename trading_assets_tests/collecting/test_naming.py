"""What the broker names in two ways is one thing: it is listed once, quoted and collected in full."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.collecting import naming
from trading_assets.instrument import same_symbol
from trading_assets.simulator import Simulator
from trading_assets_tests.collecting.named_twice import NamedTwice
from trading_assets_tests.rewriting import Rewriting, collect, rows, settings_for

SYMBOLS = ("AAPL", "BRK B", "IBM", "SPX")
DAYS = [datetime(2024, 6, day, 20, 30, tzinfo=UTC) for day in (19 - 1, 20, 21, 24)]
"""Tuesday to Monday over the third Friday of June; Wednesday the 19th is a holiday."""

RULES: dict[str, Any] = {"max_days_to_expiry": 4, "strikes_around_spot": 1}

pytestmark = pytest.mark.timeout(600)

BARS = """select symbol, expiry, session, count(*) as n from option_bars where bar_size = '8 hours'
          group by all order by all"""


def test_days_symbols_and_exchanges_are_read_in_every_form() -> None:
    day = date(2024, 6, 21)
    for text in ("20240621", "20240621 08:30:00 US/Central", "20240621-08:30:00-US/Central", "2024-06-21"):
        assert naming.named_day(text) == day, text
    for text in ("", "202406", "20240631", "202406211", "June"):
        assert naming.named_day(text) is None, text
    assert naming.names_month_of("202406", day) and not naming.names_month_of("202407", day)
    assert naming.option_expiry("SPX   240621C05500000", "20240620") == day == naming.option_expiry("", "20240621")
    with pytest.raises(ValueError, match="names the day on which the option expires"):
        naming.option_expiry("X", "202406")
    assert naming.last_day("AAPL  240621C00190000", "20240622") == day
    assert naming.last_day("SPX   240621C05500000", "20240620") == date(2024, 6, 20)
    assert naming.last_day("X", "202406") is None
    for other in ("BRK.B", "BRK/B", "BRKB"):
        assert same_symbol("BRK B", other)
    assert not same_symbol("BRK B", "BRK A")
    assert {naming.listing_exchange(name) for name in ("ISLAND", "NASDAQ", "NASDAQ.NMS")} == {"NASDAQ"}


def test_expiries_are_listed_once_and_collected_in_full_whatever_the_details_call_them(tmp_path: Path) -> None:
    listed: Counter[str] = Counter()
    with Simulator(NamedTwice(seed=42), now=DAYS[0], limits=False) as tws, Rewriting(tws.port) as wire:
        for number, now in enumerate(DAYS):
            tws.clock.set(now)
            tws.reset_counters()
            settings = settings_for(tmp_path, wire.port, now)
            reports = collect(settings, SYMBOLS, rules=RULES, lookback_days=3)
            assert [problem for report in reports.values() for problem in report.problems] == []
            asked = tws.counters
            assert not {200, 478}.intersection(asked.errors)
            listed.update(entry.subject for entry in asked.of("contract_details") if "OPT" in entry.subject)
            if number:
                assert reports["c"].sent == 0
        given = {tuple(frame[place + 1 : place + 7]) for kind, place in ((1, 3), (20, 2)) for frame in wire.asked(kind)}
    assert set(listed.values()) == {1}, "no expiry is listed a second time"
    assert given == {("", "", "", "0.0", "", "")}, "a request with a contract id gives no other term"
    stored = rows(
        settings,
        """select symbol, session, max(listed_expiry) as listed_under, count(*) filter (selected) as selected,
                  count(*) filter (quote_outcome = 'complete') as quoted
           from option_chains where expiry = date '2024-06-21' and session < date '2024-06-21'
             and trading_class <> 'SPXW' group by all order by all""",
    )
    assert [(row["symbol"], row["listed_under"]) for row in stored if row["session"] == date(2024, 6, 18)] == [
        ("AAPL", "20240621"),
        ("BRK B", None),
        ("IBM", None),
        ("SPX", "20240621"),
    ]
    assert all(row["selected"] == row["quoted"] > 0 for row in stored)
    conditions = rows(settings, "select distinct dataset, condition from coverage order by all")
    assert {(row["dataset"], row["condition"]) for row in conditions} <= {
        *((dataset, "complete") for dataset in ("contracts", "option_chains", "equity_bars", "option_bars")),
        ("option_bars", "no_trades"),
    }
    bars = rows(settings, BARS)
    third_friday = [row for row in bars if row["expiry"] == date(2024, 6, 21) and row["symbol"] == "AAPL"]
    assert [row["session"].day for row in third_friday] == [17, 18, 20, 21]
