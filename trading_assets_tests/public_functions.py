"""The public functions with their checked arguments, and those that only read; run as a program, the latter as a user
who may not write the lake."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import trading_assets as ta
from trading_assets.backup import prune
from trading_assets.broker.breaker_store import breaker_store
from trading_assets.cli.app import run
from trading_assets.client import BrokerClient, connect_broker
from trading_assets.errors import DataIntegrityError, PrerequisiteError
from trading_assets.jobs import (
    DataPipelineOrchestrator,
    DataValidation,
    archive_old_data,
    backfill_us_equity_contracts,
    calculate_missing_windows,
    cleanup_old_lineage_data,
    cleanup_temp_files,
    distribute_work,
    distribution_status,
    distributions,
    generate_performance_report,
    get_all_active_symbols,
    monthly_maintenance,
    mount_archives,
    optimize_parquet_files,
    refresh_contract_descriptions,
    refresh_option_chain,
    repeat_parts,
    run_option_backfill,
    send_maintenance_report,
    stop_distribution,
    update_system_metrics,
    validate_all_data,
    weekly_maintenance,
)
from trading_assets.lineage import LineageQueryEngine, LineageTracker
from trading_assets.monitoring import DataQualityMonitor
from trading_assets.monitoring.alerts import AlertRule, AlertRules, Alerts, AlertSeverity, AlertType
from trading_assets.repositories import (
    ContractRepository,
    CoverageRepository,
    EquityBarRepository,
    OptionBarRepository,
    OptionChainSnapshotRepository,
    OptionGreeksRepository,
    ParquetStore,
    choose_snapshot,
    connect,
    cursor,
    query,
    write_catalog,
)
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets.streaming import LiveDataManager
from trading_assets.trading import PositionManager
from trading_assets.universe import Universe
from trading_assets.validation import Reviews, Scope, blocked, validate

NOBODY = 65534
"""The user id of a user without rights."""

NOW = datetime.fromisoformat("2024-01-02T16:40-05:00")
"""An instant after the last session of the fixture lake."""

NO_SYMBOL = ("", "A/B", "AAPL, MSFT", 5, b"AAPL", ["AAPL", "MSFT"])
NO_SYMBOLS = ([], (), "A/B", 5, ["AAPL", None], {"AAPL": 1})
NO_DAY = (pd.NaT, np.datetime64("NaT"), "x", "2024-02-30", 20240614, True, np.datetime64("2024-06"))
NO_SESSION = (*NO_DAY, "2024-06-15", "2024-07-04", np.datetime64("2024-06-16"), "1990-06-15")
NO_BAR_SIZE = ("../x", "", "1 fortnight", "1 day/..", 5, ["1 day"])
NO_RIGHT = ("X", "", "Q", 5)
NO_CON_ID = (-1, "x", 1.5, True, 2**63)
NO_STRIKE = (-1, float("nan"), float("inf"), "x", True)
NO_LOOKBACK = (-1, 10**9, 1.5, True, "5")
NO_DATASET = ("greeks", "../x", 5)
NO_FOLDER = ("", 5, b"data")
NO_INSTANT = ("yesterday", "2024-06-03", 5)
NO_EXCHANGE = ("§", 5, "A NAME THAT IS TOO LONG")
NO_TYPE = ("nope", "", 5)
NO_OPTIONS = (
    {"nope": {}},
    {"equity_bars": {"bar_sizes": ["../x"]}},
    {"option_bars": {"lookback_days": -1}},
    {"contracts": 5},
)

Bad = Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class PublicFunction:
    """How a function is called on a lake: arguments that are right, and the wrong values of each checked argument."""

    call: Callable[..., Any]
    right: Mapping[str, Any] = field(default_factory=dict)
    wrong: Bad = field(default_factory=dict)
    range_of: tuple[str, str] | None = None
    """The two arguments that are a range of days."""


def settings_of(lake: Path) -> Settings:
    """The settings of a lake, without a broker."""
    return Settings(data_dir=lake, now=NOW, ib_port=1)  # type: ignore[call-arg]


def _repository(kind: Callable[..., Any], method: str) -> Callable[..., Any]:
    return lambda lake, **given: getattr(kind(data_dir=lake), method)(**given)


def _orchestrator(method: str) -> Callable[..., Any]:
    return lambda lake, **given: getattr(DataPipelineOrchestrator(settings=settings_of(lake)), method)(**given)


def _client(method: str) -> Callable[..., Any]:
    return lambda lake, **given: getattr(BrokerClient(settings_of(lake)), method)(**given)


def _validation(method: str) -> Callable[..., Any]:
    def call(lake: Path, **given: Any) -> Any:
        with suppress(PrerequisiteError, DataIntegrityError):  # what the lake lacks is another answer
            return getattr(DataValidation(settings=settings_of(lake)), method)(**given)

    return call


def _lake(method: str, **more: Any) -> Callable[..., Any]:
    return lambda lake, **given: getattr(Lake.of(settings_of(lake)), method)(**given, **more)


def _lineage(method: str) -> Callable[..., Any]:
    return lambda lake, **given: getattr(LineageQueryEngine(LineageTracker(settings=settings_of(lake))), method)(
        **given
    )


def _live(method: str) -> Callable[..., Any]:
    def call(lake: Path, **given: Any) -> Any:
        with LiveDataManager(settings_of(lake)) as manager:
            return getattr(manager, method)(**given)

    return call


def _universe(method: str) -> Callable[..., Any]:
    return lambda lake, **given: getattr(Universe(settings_of(lake).state_url), method)(**given)


def _alerts(method: str, **more: Any) -> Callable[..., Any]:
    return lambda lake, **given: getattr(Alerts(settings_of(lake)), method)(**given, **more)


FRAME = pd.DataFrame({"date": [pd.Timestamp("2024-01-02")], "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0})
SYMBOL: Bad = {"symbol": NO_SYMBOL}
DAYS: Bad = {"start_date": NO_DAY, "end_date": NO_DAY}
RANGE = ("start_date", "end_date")
ONE = {"symbol": "aapl"}
SIZE: Bad = {"bar_size": NO_BAR_SIZE}
SOME: Bad = {"symbol": NO_SYMBOLS, "trade_date": NO_DAY}
BOUNDS: Bad = {"datasets": (*NO_DATASET, []), "first": NO_DAY, "last": NO_DAY}

READING: dict[str, PublicFunction] = {
    "LiveDataManager.latest": PublicFunction(_live("latest"), ONE, SYMBOL),
    "LiveDataManager.monitor_stream_health": PublicFunction(_live("monitor_stream_health")),
    "ContractRepository.get": PublicFunction(
        _repository(ContractRepository, "get"), ONE, {**SYMBOL, "session": NO_SESSION}
    ),
    "ContractRepository.latest": PublicFunction(
        _repository(ContractRepository, "latest"), ONE, {**SYMBOL, "as_of": NO_DAY}
    ),
    "ContractRepository.latest_of": PublicFunction(
        _repository(ContractRepository, "latest_of"), {}, {"symbols": NO_SYMBOLS, "as_of": NO_DAY}
    ),
    "ContractRepository.load": PublicFunction(_repository(ContractRepository, "load"), {}, SOME),
    "ContractRepository.load_symbol_data": PublicFunction(
        _repository(ContractRepository, "load_symbol_data"), ONE, {**SYMBOL, **DAYS}, RANGE
    ),
    "ContractRepository.present_dates": PublicFunction(
        _repository(ContractRepository, "present_dates"), ONE, {**SYMBOL, **DAYS}, RANGE
    ),
    "ContractRepository.verified_at": PublicFunction(_repository(ContractRepository, "verified_at"), ONE, SYMBOL),
    "ContractRepository.symbols": PublicFunction(_repository(ContractRepository, "symbols")),
    "CoverageRepository.conditions": PublicFunction(
        lambda lake, **given: CoverageRepository(ParquetStore(lake)).conditions(**given),
        {"dataset": "equity_bars"},
        {"dataset": NO_DATASET, "bar_size": NO_BAR_SIZE[:1], "symbols": NO_SYMBOLS, "first": NO_DAY, "last": NO_DAY},
        ("first", "last"),
    ),
    "EquityBarRepository.load": PublicFunction(_repository(EquityBarRepository, "load"), {}, {**SOME, **SIZE}),
    "EquityBarRepository.load_symbol_data": PublicFunction(
        _repository(EquityBarRepository, "load_symbol_data"),
        ONE,
        {**SYMBOL, **DAYS, **SIZE, "con_id": NO_CON_ID},
        RANGE,
    ),
    "EquityBarRepository.present_dates": PublicFunction(
        _repository(EquityBarRepository, "present_dates"), ONE, {**SYMBOL, **DAYS, **SIZE}, RANGE
    ),
    "EquityBarRepository.symbols": PublicFunction(_repository(EquityBarRepository, "symbols"), {}, SIZE),
    "OptionBarRepository.load": PublicFunction(
        _repository(OptionBarRepository, "load"),
        {},
        {
            "symbol": NO_SYMBOLS,
            "trade_date": NO_DAY,
            **SIZE,
            "con_id": NO_CON_ID,
            "local_symbol": ("", 5),
            "expiry": NO_DAY,
            "strike": NO_STRIKE,
            "right": NO_RIGHT,
            **DAYS,
        },
        RANGE,
    ),
    "OptionBarRepository.load_contract": PublicFunction(
        _repository(OptionBarRepository, "load_contract"),
        {"con_id": 1},
        {"con_id": NO_CON_ID, **DAYS, **SIZE},
        RANGE,
    ),
    "OptionBarRepository.load_symbol_data": PublicFunction(
        _repository(OptionBarRepository, "load_symbol_data"), ONE, {**SYMBOL, **DAYS, **SIZE}, RANGE
    ),
    "OptionBarRepository.present_dates": PublicFunction(
        _repository(OptionBarRepository, "present_dates"),
        ONE,
        {**SYMBOL, **DAYS, **SIZE, "con_id": NO_CON_ID},
        RANGE,
    ),
    "OptionGreeksRepository.load": PublicFunction(
        _repository(OptionGreeksRepository, "load"),
        {},
        {
            "symbol": NO_SYMBOLS,
            "trade_date": NO_DAY,
            "source": ("", "quote", 5),
            "con_id": NO_CON_ID,
            "expiry": NO_DAY,
            "right": NO_RIGHT,
            **DAYS,
        },
        RANGE,
    ),
    "PositionManager.explain_pnl": PublicFunction(
        lambda lake, **given: PositionManager(settings_of(lake)).explain_pnl(**given),
        {"last": NOW},
        {"first": NO_INSTANT, "last": NO_INSTANT},
    ),
    "OptionGreeksRepository.present_dates": PublicFunction(
        _repository(OptionGreeksRepository, "present_dates"), ONE, {**SYMBOL, **DAYS}, RANGE
    ),
    "OptionChainSnapshotRepository.latest_chain_snapshot": PublicFunction(
        _repository(OptionChainSnapshotRepository, "latest_chain_snapshot"),
        {**ONE, "as_of": "2024-01-02"},
        {**SYMBOL, "as_of": NO_DAY},
    ),
    "OptionChainSnapshotRepository.load": PublicFunction(_repository(OptionChainSnapshotRepository, "load"), {}, SOME),
    "OptionChainSnapshotRepository.load_chain_snapshot": PublicFunction(
        _repository(OptionChainSnapshotRepository, "load_chain_snapshot"),
        {**ONE, "session": "2024-01-02"},
        {**SYMBOL, "session": NO_DAY},
    ),
    "OptionChainSnapshotRepository.present_dates": PublicFunction(
        _repository(OptionChainSnapshotRepository, "present_dates"), ONE, {**SYMBOL, **DAYS}, RANGE
    ),
    "OptionChainSnapshotRepository.sessions": PublicFunction(
        _repository(OptionChainSnapshotRepository, "sessions"), ONE, SYMBOL
    ),
    "OptionChainSnapshotRepository.sessions_by_symbol": PublicFunction(
        _repository(OptionChainSnapshotRepository, "sessions_by_symbol"), {}, {"symbols": NO_SYMBOLS}
    ),
    "connect": PublicFunction(
        lambda lake, data_dir=None, **given: connect(data_dir or lake, **given).sql("from contracts").fetchall(),
        {},
        {"as_of": NO_INSTANT},
    ),
    "cursor": PublicFunction(lambda lake, data_dir=None: cursor(data_dir or lake).sql("from contracts").fetchall()),
    "query": PublicFunction(
        lambda lake, data_dir=None, **given: query(data_dir or lake, "from contracts", **given),
        {},
        {"as_of": NO_INSTANT},
    ),
    "LineageQueryEngine.rows": PublicFunction(
        _lineage("rows"),
        {"dataset": "equity_bars", "symbol": "aapl"},
        {**SYMBOL, "dataset": NO_DATASET, "session": NO_SESSION, **SIZE, "contract": NO_CON_ID[:1]},
    ),
    "LineageQueryEngine.partition": PublicFunction(
        _lineage("partition"),
        {"asset": "option_bars", "session": "2024-01-02"},
        {**SYMBOL, "asset": NO_DATASET, "session": NO_SESSION},
    ),
    "LineageQueryEngine.upstream": PublicFunction(
        _lineage("upstream"), {"asset": "option_bars"}, {**SYMBOL, "asset": NO_DATASET, "partition": NO_SESSION}
    ),
    "LineageQueryEngine.downstream": PublicFunction(
        _lineage("downstream"), {"asset": "contracts"}, {**SYMBOL, "asset": NO_DATASET, "partition": NO_SESSION}
    ),
    "LineageQueryEngine.find_data_sources": PublicFunction(
        _lineage("find_data_sources"), {}, {"source_type": ("table", "", 5)}
    ),
    "LineageQueryEngine.request": PublicFunction(
        _lineage("request"), {"request_id": 1}, {"request_id": (0, -1, "x", 1.5, True)}
    ),
    "Lake.conditions": PublicFunction(
        _lake("conditions"), {"symbols": "aapl"}, {"symbols": (None, *NO_SYMBOLS[2:]), **BOUNDS}, ("first", "last")
    ),
    "Lake.count_conditions": PublicFunction(
        _lake("count_conditions"),
        {"symbols": "aapl"},
        {"symbols": (None, *NO_SYMBOLS[2:]), **BOUNDS},
        ("first", "last"),
    ),
    "Lake.over_conditions": PublicFunction(
        _lake("over_conditions", sql="from conditions"),
        {"symbols": "aapl"},
        {"symbols": (None, *NO_SYMBOLS[2:]), **BOUNDS},
        ("first", "last"),
    ),
    "Lake.expired_contracts": PublicFunction(_lake("expired_contracts"), {"symbols": ["AAPL"]}, {"first": NO_DAY}),
    "Lake.wanted": PublicFunction(
        _lake("wanted", dataset=EQUITY_BARS, sessions=[]),
        {"symbols": "aapl", "bar_size": "1 Day"},
        {"symbols": (None, *NO_SYMBOLS[2:]), **SIZE},
    ),
    "Lake.with_equity_bars": PublicFunction(
        _lake("with_equity_bars"), {"symbols": "aapl"}, {"symbols": (None, *NO_SYMBOLS[2:])}
    ),
    "DataPipelineOrchestrator.generate_status_report": PublicFunction(_orchestrator("generate_status_report")),
    **{
        f"DataValidation.{name}": PublicFunction(_validation(name), ONE, SYMBOL)
        for name in (
            "validate_symbol_contracts_exist",
            "validate_option_chain_current",
            "validate_equity_data_available",
            "validate_option_backfill_prerequisites",
            "validate_data_integrity",
        )
    },
    "get_all_active_symbols": PublicFunction(lambda lake: get_all_active_symbols(settings=settings_of(lake))),
    "validate_all_data": PublicFunction(lambda lake: validate_all_data(settings=settings_of(lake))),
    "calculate_missing_windows": PublicFunction(
        lambda lake, **given: calculate_missing_windows(["2024-01-02"], **given, settings=settings_of(lake)),
        {**ONE, "start_date": "2023-12-29", "end_date": "2024-01-02"},
        {**SYMBOL, **DAYS, **SIZE},
        RANGE,
    ),
    "DataQualityMonitor.generate_quality_report": PublicFunction(
        lambda lake, **given: DataQualityMonitor(settings_of(lake)).generate_quality_report(**given, record=False),
        {},
        {"symbols": NO_SYMBOLS, "sessions": (0, -1, 1.5, True, 10**9, "5")},
    ),
    "Universe.resolve": PublicFunction(_universe("resolve"), {"symbols": None}, {"symbols": NO_SYMBOLS}),
    "Universe.entries": PublicFunction(_universe("entries")),
    "Universe.active": PublicFunction(_universe("active")),
    "Alerts.open": PublicFunction(_alerts("open")),
    "Alerts.history": PublicFunction(_alerts("history"), {}, {"limit": (0, -1, True, 1.5, "5")}),
    "AlertRules.all": PublicFunction(lambda lake: AlertRules(settings_of(lake)).all()),
    "validate": PublicFunction(
        lambda lake, **given: validate(settings_of(lake), Scope(("AAPL",)), **given, record=False),
        {},
        {"datasets": (*NO_DATASET, [])},
    ),
    "blocked": PublicFunction(
        lambda lake, **given: blocked(settings_of(lake), **given),
        {"symbols": ["AAPL"], "datasets": ["contracts"]},
        {"datasets": (*NO_DATASET, []), "symbols": (["A/B"], [5]), "first": NO_DAY, "last": NO_DAY},
        ("first", "last"),
    ),
    "Reviews.held": PublicFunction(lambda lake: Reviews(settings_of(lake)).held()),
}
"""Doors that only read, on a folder that the settings or the repository name."""

COMMANDS = (
    ["status", "--no-probe"],
    ["live", "--status"],
    ["coverage"],
    ["coverage", "AAPL", "--by-session", "--json"],
    ["query", "select 1 from contracts"],
    ["universe", "list"],
    ["universe", "series"],
    ["plan", "AAPL"],
    ["alerts", "list"],
    ["alerts", "rules", "list"],
    ["quarantine", "list"],
    ["review", "list"],
    ["quality", "--no-record"],
    ["lineage"],
    ["lineage", "equity_bars", "--symbol", "AAPL", "--json"],
)
"""Commands that only read."""

SAYS_WRONG = ("status", "alerts", "quality")
"""Commands whose exit code says what the lake lacks."""

OTHERS: dict[str, PublicFunction] = {
    "LiveDataManager.on_quote": PublicFunction(_live("on_quote"), {}, {"callback": (5, None, "print")}),
    "LiveDataManager.start_streaming": PublicFunction(
        _live("start_streaming"),
        {"symbols": ["AAPL"]},
        {"options": (-1, 101, 1.5, True, "3"), "timeout": (-1, "x", float("nan")), "symbols": (5, b"AAPL", {"A": 1})},
    ),
    "LiveDataManager.stop_streaming": PublicFunction(_live("stop_streaming"), {}, {"symbols": NO_SYMBOLS}),
    "prune": PublicFunction(prune, {"keep": 1}, {"keep": (0, -1, True, 1.5, "5")}),
    "ContractRepository.save": PublicFunction(
        lambda lake, **given: ContractRepository(data_dir=lake).save(FRAME, **given), {}, SYMBOL
    ),
    "EquityBarRepository.save": PublicFunction(
        lambda lake, **given: EquityBarRepository(data_dir=lake).save(FRAME, **given), {}, {**SYMBOL, **SIZE}
    ),
    "OptionBarRepository.save": PublicFunction(
        lambda lake, **given: OptionBarRepository(data_dir=lake).save(FRAME, **given), {}, {**SYMBOL, **SIZE}
    ),
    "OptionChainSnapshotRepository.save": PublicFunction(
        lambda lake, **given: OptionChainSnapshotRepository(data_dir=lake).save(FRAME, **given),
        {},
        {**SYMBOL, "session": NO_SESSION},
    ),
    "choose_snapshot": PublicFunction(
        lambda lake, **given: choose_snapshot([NOW.date()], **given), {"as_of": "2024-01-02"}, {"as_of": NO_DAY}
    ),
    "DataPipelineOrchestrator.setup": PublicFunction(
        _orchestrator("setup"),
        {"symbols": "aapl"},
        {"symbols": (None, *NO_SYMBOLS), "lookback_days": NO_LOOKBACK, "options": NO_OPTIONS},
    ),
    "DataPipelineOrchestrator.setup_new_symbol": PublicFunction(
        _orchestrator("setup_new_symbol"),
        ONE,
        {
            "symbol": (None, *NO_SYMBOL),
            "lookback_days": NO_LOOKBACK,
            "exchange": NO_EXCHANGE,
            "primary_exchange": (*NO_EXCHANGE, "SMART"),
        },
    ),
    "DataPipelineOrchestrator.update": PublicFunction(
        _orchestrator("update"), {}, {"symbols": NO_SYMBOLS, "options": NO_OPTIONS}
    ),
    "DataPipelineOrchestrator.daily_update": PublicFunction(_orchestrator("daily_update"), {}, {"symbols": NO_SYMBOLS}),
    "DataPipelineOrchestrator.backfill": PublicFunction(
        _orchestrator("backfill"),
        {"symbols": None, "first": "2023-12-29", "last": "2024-01-02"},
        {
            "symbols": NO_SYMBOLS,
            "first": (*NO_DAY, None, "2024-01-03"),
            "last": (*NO_DAY, None, "2023-12-28", "2024-01-03"),
            "options": NO_OPTIONS,
        },
        ("first", "last"),
    ),
    "distribute_work": PublicFunction(
        lambda lake, **given: distribute_work(**{"work": "backfill", **given}, settings=settings_of(lake)),
        {"symbols": ["AAPL"], "first": "2023-12-29", "last": "2024-01-02"},
        {
            "work": ("nope", "", 5),
            "symbols": NO_SYMBOLS,
            "first": (*NO_DAY, None, "2024-01-03"),
            "last": (*NO_DAY, "2023-12-28", "2024-01-03"),
            "symbols_per_part": (0, -1, 1.5, True, "5"),
            "sessions_per_part": (0, -1, 1.5, True, "5"),
            "bar_sizes": ("../x", "", 5, ["1 fortnight"]),
        },
        ("first", "last"),
    ),
    "DataPipelineOrchestrator.accept_units": PublicFunction(
        _orchestrator("accept_units"),
        {"symbols": None, "first": None, "last": "2024-01-02", "unit": None},
        {
            "symbols": NO_SYMBOLS,
            "first": (*NO_DAY, "2024-01-03"),
            "last": NO_DAY,
            "unit": ("", "furlongs", "-99h", 5),
        },
    ),
    "DataPipelineOrchestrator.resolve": PublicFunction(
        _orchestrator("resolve"), {**ONE, "decision": "same"}, {**SYMBOL, "decision": ("maybe", "", 5)}
    ),
    **{
        operation.__name__: PublicFunction(
            lambda lake, run=operation, **given: run(**given, settings=settings_of(lake)), ONE, SYMBOL
        )
        for operation in (backfill_us_equity_contracts, refresh_contract_descriptions, refresh_option_chain)
    },
    "run_option_backfill": PublicFunction(
        lambda lake, **given: run_option_backfill(**given, settings=settings_of(lake)),
        ONE,
        {**SYMBOL, "lookback_days": NO_LOOKBACK},
    ),
    "cleanup_temp_files": PublicFunction(cleanup_temp_files, {}, {}),
    "connect_broker": PublicFunction(
        lambda lake, **given: connect_broker(**given, settings=settings_of(lake)), {}, {"base_path": NO_FOLDER}
    ),
    "BrokerClient.get_equity_bars": PublicFunction(
        _client("get_equity_bars"),
        {**ONE, "start": "2023-12-29", "end": "2024-01-02"},
        {**SYMBOL, "start": (*NO_DAY, None), "end": (*NO_DAY, None), **SIZE},
        ("start", "end"),
    ),
    "BrokerClient.get_option_bars": PublicFunction(
        _client("get_option_bars"),
        {"contracts": [1], "start": "2023-12-29", "end": "2024-01-02"},
        {
            "contracts": ([], None, "AAPL", [True], [-1], [None], 1.5, pd.DataFrame({"strike": [1.0]})),
            "start": (*NO_DAY, None),
            "end": (*NO_DAY, None),
            "bar_size": (*NO_BAR_SIZE, "1 secs"),
        },
        ("start", "end"),
    ),
    "BrokerClient.get_contract_descriptions": PublicFunction(
        _client("get_contract_descriptions"), {"symbols": "aapl"}, {"symbols": NO_SYMBOLS}
    ),
    "BrokerClient.get_contract_description": PublicFunction(_client("get_contract_description"), ONE, SYMBOL),
    "DataQualityMonitor.add_alert_rule": PublicFunction(
        lambda lake, **given: DataQualityMonitor(settings_of(lake)).add_alert_rule(**given),
        {"alert_type": "stale_option_chains"},
        {
            "alert_type": NO_TYPE,
            "severity": NO_TYPE,
            "remind_after": (timedelta(), timedelta(hours=-1), timedelta(days=10**5)),
        },
    ),
    "AlertRule.__init__": PublicFunction(
        lambda lake, **given: AlertRule(**given),
        {"alert_type": AlertType.RUN_FAILED, "severity": AlertSeverity.INFO},
        {"alert_type": NO_TYPE, "severity": NO_TYPE, "remind_after": (timedelta(),)},
    ),
    "AlertRules.remove": PublicFunction(
        lambda lake, **given: AlertRules(settings_of(lake)).remove(**given, channel="log"),
        {"alert_type": "run_failed"},
        {"alert_type": NO_TYPE},
    ),
    "Alerts.acknowledge": PublicFunction(
        _alerts("acknowledge", by="x", now=NOW),
        {"target": 1},
        {"target": (0, -1, True, 1.5, "1", ("nope", None))},
    ),
    "Alerts.silence": PublicFunction(
        _alerts("silence", subject=None, by="x"),
        {"alert_type": "run_failed", "until": datetime(2024, 1, 3, tzinfo=UTC)},
        {"alert_type": NO_TYPE, "until": (datetime(2024, 1, 3),)},
    ),
    "Universe.add": PublicFunction(
        _universe("add"),
        {"symbols": "aapl"},
        {
            "symbols": (None, *NO_SYMBOLS),
            "exchange": NO_EXCHANGE,
            "primary_exchange": (*NO_EXCHANGE, "SMART"),
            "sec_type": ("OPT", "", 5),
        },
    ),
    "Universe.remove": PublicFunction(_universe("remove"), {"symbols": "aapl"}, {"symbols": (None, *NO_SYMBOLS)}),
    "Reviews.accept": PublicFunction(
        lambda lake, **given: Reviews(settings_of(lake)).accept(**given),
        {**ONE, "session": "2024-01-02"},
        {**SYMBOL, "session": NO_SESSION},
    ),
    "Reviews.reject": PublicFunction(
        lambda lake, **given: Reviews(settings_of(lake)).reject(**given),
        {**ONE, "session": "2024-01-02"},
        {**SYMBOL, "session": NO_SESSION},
    ),
    "export": PublicFunction(
        lambda lake, **given: ta.export(
            lake, given.pop("dataset", "equity_bars"), lake.parent / "exported.parquet", **given
        ),
        {},
        {
            "dataset": ("nope", "", 5),
            "format": ("xls", "", 5),
            "symbols": NO_SYMBOLS,
            "first": NO_DAY,
            "last": NO_DAY,
            "bar_size": NO_BAR_SIZE,
            "as_of": NO_INSTANT,
        },
        ("first", "last"),
    ),
    "breaker_store": PublicFunction(lambda lake, **given: breaker_store(**given), {}, {"base_path": NO_FOLDER}),
    "Scope.__init__": PublicFunction(
        lambda lake, **given: Scope(**given),
        {},
        {"symbols": NO_SYMBOLS, "first": NO_DAY, "last": NO_DAY},
        ("first", "last"),
    ),
    **{
        f"{kind.__name__}.__init__": PublicFunction(
            lambda lake, made=kind, **given: made(**given), {}, {"base_path": NO_FOLDER}
        )
        for kind in (DataPipelineOrchestrator, DataValidation, DataQualityMonitor)
    },
    **{
        f"{kind.__name__}.__init__": PublicFunction(
            lambda lake, made=kind, **given: made(**given), {}, {"data_dir": NO_FOLDER, "as_of": NO_INSTANT}
        )
        for kind in (
            ContractRepository,
            EquityBarRepository,
            OptionBarRepository,
            OptionChainSnapshotRepository,
            OptionGreeksRepository,
        )
    },
}
"""Functions that write or send, and values that carry arguments."""

FUNCTIONS = {**READING, **OTHERS}

ON_A_FOLDER: dict[str, Callable[[Path], Any]] = {
    "distribute_work": lambda folder: distribute_work("validation", base_path=folder),
    "distribution_status": lambda folder: distribution_status("greeks", folder),
    "distributions": distributions,
    "repeat_parts": lambda folder: repeat_parts("greeks", folder),
    "stop_distribution": lambda folder: stop_distribution("greeks", folder),
    "connect": connect,
    "cursor": cursor,
    "ta.connect": ta.connect,
    "query": lambda folder: query(folder, "select 1"),
    "write_catalog": write_catalog,
    "ContractRepository": lambda folder: ContractRepository(data_dir=folder).load(),
    "ContractRepository.get": lambda folder: ContractRepository(data_dir=folder).get("AAPL", "2024-01-02"),
    "ContractRepository.latest": lambda folder: ContractRepository(data_dir=folder).latest("AAPL"),
    "CoverageRepository": lambda folder: CoverageRepository(ParquetStore(folder)).conditions("equity_bars"),
    "EquityBarRepository": lambda folder: EquityBarRepository(folder / "equity_bars").load_symbol_data("AAPL"),
    "EquityBarRepository.symbols": lambda folder: EquityBarRepository(data_dir=folder).symbols(),
    "OptionBarRepository": lambda folder: OptionBarRepository(data_dir=folder).present_dates("AAPL"),
    "OptionChainSnapshotRepository": lambda folder: OptionChainSnapshotRepository(data_dir=folder).load(),
    "OptionGreeksRepository": lambda folder: OptionGreeksRepository(data_dir=folder).load(),
    "PositionManager": lambda folder: PositionManager(settings_of(folder)).explain_pnl(),
    "DataValidation": lambda folder: DataValidation(folder).validate_option_backfill_prerequisites("AAPL"),
    "DataValidation.integrity": lambda folder: DataValidation(folder).validate_data_integrity("AAPL"),
    "calculate_missing_windows": lambda folder: calculate_missing_windows(
        [], "2024-01-02", "2024-01-02", symbol="AAPL", base_path=folder
    ),
    "cleanup_temp_files": cleanup_temp_files,
    "get_all_active_symbols": get_all_active_symbols,
    "validate_all_data": validate_all_data,
    "DataQualityMonitor": lambda folder: DataQualityMonitor(base_path=folder).generate_quality_report(),
    "LineageTracker.__init__": LineageTracker,
    "LineageTracker": lambda folder: LineageQueryEngine(LineageTracker(folder)).find_data_sources("repository"),
    "generate_status_report": lambda folder: DataPipelineOrchestrator(folder).generate_status_report(),
    "weekly_maintenance": lambda folder: weekly_maintenance(folder, dry_run=True),
    "monthly_maintenance": lambda folder: monthly_maintenance(folder, dry_run=True),
    "archive_old_data": lambda folder: archive_old_data(base_path=folder, dry_run=True),
    "cleanup_old_lineage_data": cleanup_old_lineage_data,
    "generate_performance_report": generate_performance_report,
    "mount_archives": mount_archives,
    "optimize_parquet_files": lambda folder: optimize_parquet_files(folder, dry_run=True),
    "send_maintenance_report": lambda folder: send_maintenance_report({"failures": [], "integrity_ok": []}, folder),
    "update_system_metrics": update_system_metrics,
}
"""Functions that are given the folder of a lake and read it, or write into it alone."""


def read_all(lake: Path) -> None:
    """Use every function that only reads."""
    for function in READING.values():
        function.call(lake, **function.right)
    for command in COMMANDS:
        assert run(command) == 0 or command[0] in SAYS_WRONG, command


if __name__ == "__main__":
    writable, *others = map(Path, sys.argv[1:])
    os.environ["TRADING_ASSETS_DATA_DIR"] = str(writable)
    read_all(writable)  # imports what is imported late: nobody may not read root's Python
    os.setuid(NOBODY)
    for folder in others:
        os.environ["TRADING_ASSETS_DATA_DIR"] = str(folder)
        read_all(folder)
