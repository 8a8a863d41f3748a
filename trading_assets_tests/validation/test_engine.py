"""Scope, findings and what is blocked: an answer replaces exactly what it is about."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_CHAINS
from trading_assets.settings import Settings
from trading_assets.validation import RULES, Finding, Findings, Rule, Scope, Severity, blocked, validate
from trading_assets.validation import findings as findings_module
from trading_assets_tests.validation.worlds import BAR_SESSIONS, NOW, SNAPSHOTS, SYMBOLS, TODAY, world, write

RULE = next(rule for rule in RULES if rule.name == "volume_present")
OF_NOW = next(rule for rule in RULES if rule.name == "chain_current")
DAYS = BAR_SESSIONS[:6]
ALL = ("contracts", "option_chains", "equity_bars")

cells = st.sets(st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(DAYS)))


def finding(rule: Rule, symbol: str, session: date) -> Finding:
    return Finding(rule.name, rule.dataset, rule.severity, symbol, session, 1, {"volume": 0.0}, NOW)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells,
    cells,
    st.none() | st.sets(st.sampled_from(SYMBOLS), min_size=1),
    st.none() | st.sampled_from(DAYS),
    st.none() | st.sampled_from(DAYS),
)
def test_findings_are_replaced_within_the_scope_and_nowhere_else(
    tmp_path: Path,
    before: set[tuple[str, date]],
    now: set[tuple[str, date]],
    symbols: set[str] | None,
    first: date | None,
    last: date | None,
) -> None:
    stored = Findings(f"sqlite:///{tmp_path}/state.db")
    ran = [(RULE, 10, len(before))]
    stored.replace(ran, [finding(RULE, *cell) for cell in before], symbols=None, first=None, last=None, now=NOW)
    stored.replace([(OF_NOW, 1, 1)], [finding(OF_NOW, "AAPL", DAYS[0])], symbols=None, first=None, last=None, now=NOW)

    def inside(cell: tuple[str, date]) -> bool:
        return (
            (symbols is None or cell[0] in symbols)
            and (first is None or cell[1] >= first)
            and (last is None or cell[1] <= last)
        )

    found = {cell for cell in now if inside(cell)}
    stored.replace(ran, [finding(RULE, *cell) for cell in found], symbols=symbols, first=first, last=last, now=NOW)
    current = stored.current()
    assert {(f.symbol, f.session) for f in current if f.rule == RULE.name} == {
        cell for cell in before if not inside(cell)
    } | found
    assert [f.symbol for f in current if f.rule == OF_NOW.name] == ["AAPL"]


def broken_volumes(folder: Path, sessions: list[date]) -> Settings:
    rows = world()
    for row in rows[EQUITY_BARS.name]:
        if row["bar_size"] == "1 day" and row["session"] in sessions:
            row["volume"] = 0.0
    return write(folder, rows)


def test_a_scope_examines_its_symbols_and_sessions_only(tmp_path: Path) -> None:
    used = broken_volumes(tmp_path, DAYS)
    report = validate(used, Scope(("IBM",), DAYS[1], DAYS[2]), rules=[RULE])
    assert [(row["symbol"], row["session"]) for row in report.result(RULE.name).rows.to_pylist()] == [
        ("IBM", DAYS[1]),
        ("IBM", DAYS[2]),
    ]
    assert report.result(RULE.name).examined == 2


def test_a_repair_clears_the_finding_and_the_run_is_counted(tmp_path: Path) -> None:
    used = broken_volumes(tmp_path, DAYS[:1])
    validate(used)
    stored = Findings(used.state_url)
    assert [(f.rule, f.symbol, f.severity) for f in stored.current()] == [
        (RULE.name, symbol, Severity.WARN) for symbol in SYMBOLS
    ]
    assert (
        stored.current(severity="error") == []
        and stored.current(datasets=["contracts"]) == []
        and len(stored.current(symbols=["IBM"])) == 1
    )
    assert stored.current()[0].example["volume"] == 0.0
    write(tmp_path, world())
    validate(used, record=False)
    assert stored.current()
    validate(used, Scope(("AAPL",)))
    assert [f.symbol for f in stored.current()] == ["IBM"]
    validate(used)
    assert stored.current() == []
    assert stored.runs()[RULE.name].failed == 0 and stored.runs()[RULE.name].examined > 0


def test_the_newest_findings_are_kept_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trading_assets.validation.engine as engine

    monkeypatch.setattr(engine, "STORED_FINDINGS", 4)
    used = broken_volumes(tmp_path, DAYS)
    assert validate(used, rules=[RULE]).result(RULE.name).failed == 12
    assert {f.session for f in Findings(used.state_url).current()} == set(DAYS[-2:])
    assert findings_module.STORED_FINDINGS == 1_000


def test_a_spike_is_measured_by_the_sessions_before_the_scope(tmp_path: Path) -> None:
    rows = world()
    for row in rows[EQUITY_BARS.name]:
        if row["symbol"] == "AAPL" and row["session"] == BAR_SESSIONS[-1] and row["bar_size"] == "1 day":
            row["high"] = row["close"] = row["close"] * 1.4
    report = validate(write(tmp_path, rows), Scope(None, BAR_SESSIONS[-1], BAR_SESSIONS[-1]))
    assert report.result("spike").symbols == ("AAPL",)


def test_the_rules_of_one_dataset_are_run_alone(tmp_path: Path) -> None:
    report = validate(Settings(data_dir=tmp_path / "lake", now=NOW), datasets=["option_greeks"])
    assert {result.rule.dataset for result in report.results} == {"option_greeks"}


def test_an_unknown_dataset_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="datasets is 'greeks': give one of contracts, option_chains"):
        validate(Settings(data_dir=tmp_path, now=NOW), datasets=["greeks"])
    with pytest.raises(ValueError, match="cannot end"):
        Scope(None, date(2020, 1, 2), date(2020, 1, 1))


def test_an_empty_lake_has_nothing_to_examine(tmp_path: Path) -> None:
    report = validate(Settings(data_dir=tmp_path / "lake", now=NOW))
    assert report.passed and {result.examined for result in report.results} == {0}


def test_an_error_blocks_its_symbol_and_no_other(tmp_path: Path) -> None:
    rows = world()
    for row in rows["contracts"]:
        if row["symbol"] == "AAPL":
            row["currency"] = "EUR"
    reasons = blocked(write(tmp_path, rows), ALL, SYMBOLS)
    assert list(reasons) == ["AAPL"]
    assert reasons["AAPL"].startswith(
        "AAPL: contracts violates known_exchange_and_currency, so nothing was requested for it. "
    )


def test_old_snapshots_gaps_and_late_data_block_nothing(tmp_path: Path) -> None:
    rows = world()
    for row in rows[OPTION_CHAINS.name]:
        if row["session"] == SNAPSHOTS[0]:
            row["expiry"] = SNAPSHOTS[0] - timedelta(days=3)
    rows[EQUITY_BARS.name] = [row for row in rows[EQUITY_BARS.name] if row["session"] < DAYS[3]]
    rows[OPTION_CHAINS.name] = [row for row in rows[OPTION_CHAINS.name] if row["session"] < TODAY]
    used = write(tmp_path, rows)
    assert not validate(used).passed
    assert blocked(used, ALL, SYMBOLS) == {}
    assert blocked(used, ALL, []) == {}


def test_what_an_answer_of_the_broker_can_break_blocks_nothing(tmp_path: Path) -> None:
    rows = world()
    for row in rows[OPTION_CHAINS.name]:
        if row["session"] == TODAY and row["symbol"] == "IBM":
            row["expiry"] = SNAPSHOTS[0]
    doubled = [
        {**row, "con_id": row["con_id"] + 1000}
        for row in rows[OPTION_CHAINS.name]
        if row["session"] == TODAY and row["symbol"] == "AAPL"
    ]
    rows[OPTION_CHAINS.name] += doubled
    used = write(tmp_path, rows)
    assert {"expiry_not_before_session", "no_doubled_contract"} <= {
        result.rule.name for result in validate(used).failing()
    }
    assert blocked(used, ALL, SYMBOLS) == {}
