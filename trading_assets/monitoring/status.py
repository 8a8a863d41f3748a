"""The state of the archive in one document: lake, journal, breaker, broker, budget, freshness, and what is wrong in
sentences.

The command `status` prints it and its exit code follows `Status.wrong`. Nothing here knows Dagster: `queue` and
`schedules` are filled in by whoever has its instance. Nothing asks the broker for data; `probe` makes one plain TCP
connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from trading_assets.contract_changes import ContractChanges
from trading_assets.monitoring.broker_status import (
    breaker_record,
    broker_record,
    broker_wrong,
    different_subscriptions,
    gateway_records,
    together,
)
from trading_assets.monitoring.gaps import Gap, find_gaps, new_symbols, stale_chains
from trading_assets.monitoring.lake_folder import folder_state
from trading_assets.monitoring.recovery import lost_state
from trading_assets.monitoring.usage import journal_counts, pacing_budget, requests_used
from trading_assets.remedies import typed
from trading_assets.repositories.catalog import query
from trading_assets.repositories.files import check_file, dataset_files
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.layout import settle
from trading_assets.repositories.schemas import CONTRACTS, DATASETS, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, Condition
from trading_assets.sessions import SessionCalendar, calendar
from trading_assets.settings import Settings
from trading_assets.state import reading_engine
from trading_assets.universe import Universe

RECENT_SESSIONS = 30
"""Sessions whose conditions are counted: six weeks, the reach of the default option selection."""

COLLECTED = (CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS)


@dataclass
class Status:
    """Everything at `now`. `wrong` are sentences that say who, what and what to do; empty: all is well.

    `freshness` has a row for each dataset and active symbol: `rows, first, last` (exchange dates), `behind` (sessions),
    and `conditions`, the sessions of the last `RECENT_SESSIONS` by condition. `queue` and `schedules` are None where no
    Dagster instance is; `daemon` is the last sign of life of its daemon (UTC; None: none ever, which is no fault of an
    archive driven by hand). `notes` are sentences about what may go wrong. `folder` names
    `foreign` and `newer` files and the tool it is `synchronised_by` (`monitoring.lake_folder`). `gateways` has a record
    for each gateway of the settings (`monitoring.broker_status`); `broker`, `breaker` and `pacing` are then of all.
    """

    data_dir: str
    now: datetime
    session: date
    lake: dict[str, Any]
    journal: dict[str, Any]
    breaker: dict[str, Any]
    broker: dict[str, Any]
    requests: dict[str, Any]
    pacing: dict[str, Any]
    symbols: list[str]
    freshness: list[dict[str, Any]]
    gaps: list[Gap]
    queue: dict[str, Any] | None = None
    schedules: list[dict[str, Any]] | None = None
    daemon: datetime | None = None
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    folder: dict[str, Any] = field(default_factory=dict)
    gateways: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record (dates and instants as such)."""
        return {**vars(self), "gaps": [gap.as_dict() for gap in self.gaps]}


def platform_status(settings: Settings, *, probe: bool = True) -> Status:
    """The state of the archive of `settings`. It only reads: a state database that is not there is not made.

    `probe`: whether to see if the broker's port accepts connections, where one is configured and a symbol is active.
    """
    now, sessions = settings.clock(), calendar()
    engine = reading_engine(settings.state_url)
    symbols = Universe(settings.state_url).active()
    gateways = gateway_records(settings, engine, probe and bool(symbols))
    found = Status(
        data_dir=str(settings.data_dir),
        now=now,
        session=sessions.current(now),
        lake=_lake(settings),
        journal=journal_counts(engine),
        breaker=breaker_record(engine, settings),
        broker=together(gateways) if gateways else broker_record(settings, engine, probe and bool(symbols)),
        requests=requests_used(engine),
        pacing=pacing_budget(engine, settings),
        symbols=symbols,
        freshness=_freshness(settings, sessions, now, symbols),
        gaps=find_gaps(settings, now=now),
        gateways=gateways,
    )
    early, lost, folder = clock_before_lake(settings, now), lost_state(settings), folder_state(settings)
    found.folder = {"foreign": folder.foreign, "newer": folder.newer, "synchronised_by": folder.tool}
    found.notes = [note for note in (folder.note, different_subscriptions(gateways)) if note]
    found.wrong = [
        *folder.wrong,
        *_wrong_platform(settings, found),
        *([early] if early else _wrong_symbols(settings, found, now)),
        *([lost] if lost else []),
    ]
    return found


def clock_before_lake(settings: Settings, now: datetime) -> str:
    """A sentence when the lake holds rows of a session that has not begun at `now`; empty when it does not."""
    newest = " union all ".join(f'select max(session) as session from "{dataset.name}"' for dataset in COLLECTED)
    (last,) = query(settings.data_dir, f"select max(session) as session from ({newest})")["session"].to_pylist()
    if last is None or last <= calendar().current(now):
        return ""
    pinned = (
        "change TRADING_ASSETS_NOW or take it away"
        if settings.now is not None
        else "set the clock of this machine right"
    )
    return f"The clock ({now:%Y-%m-%d %H:%M} UTC) is before the lake's newest data (session {last}): {pinned}."


def _lake(settings: Settings) -> dict[str, Any]:
    """Files, rows by dataset and the last write, from names and footers alone."""
    settle(settings.data_dir)
    files = {name: dataset_files(settings.data_dir, dataset) for name, dataset in DATASETS.items()}
    rows = {name: sum(check_file(path, DATASETS[name]) for path in paths) for name, paths in files.items()}
    times = [path.stat().st_mtime for paths in files.values() for path in paths]
    return {
        "identity": LakeIdentity(settings.data_dir).read(),
        "files": len(times),
        "rows": rows,
        "last_write": datetime.fromtimestamp(max(times), UTC) if times else None,
    }


def _freshness(
    settings: Settings, sessions: SessionCalendar, now: datetime, symbols: Sequence[str]
) -> list[dict[str, Any]]:
    lake = Lake.of(settings, now)
    bars_due, current = lake.bars_due, sessions.current(now)
    first = sessions.previous(current, RECENT_SESSIONS - 1)
    counted = lake.count_conditions(symbols, first=first).to_pylist()
    conditions: dict[tuple[str, str], dict[str, int]] = {}
    newest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in counted:
        key = row["dataset"], row["symbol"]
        of_symbol = conditions.setdefault(key, {})
        of_symbol[row["condition"]] = of_symbol.get(row["condition"], 0) + row["sessions"]
        if key not in newest or row["last"] > newest[key]["last"]:
            newest[key] = row
    freshness = []
    for dataset in COLLECTED:
        stored = _stored(settings, dataset.name)
        due = bars_due if dataset in (EQUITY_BARS, OPTION_BARS) else sessions.previous(current)
        for symbol in symbols:
            row = stored.get(symbol, {"rows": 0})
            last = newest.get((dataset.name, symbol), {})
            behind = sessions.count_between(_reached(row, last) + timedelta(days=1), due) if row["rows"] else None
            condition = {"condition": last.get("condition"), "reason": last.get("reason") or ""}
            of_symbol = conditions.get((dataset.name, symbol), {})
            freshness.append(
                {
                    "dataset": dataset.name,
                    "symbol": symbol,
                    **row,
                    "behind": behind,
                    **condition,
                    "conditions": of_symbol,
                }
            )
    return freshness


def _reached(stored: Mapping[str, Any], last: Mapping[str, Any]) -> date:
    """The session up to which nothing is missing: that of the last rows, or a later one in which nothing is wanted."""
    reached: date = stored["last"]
    return max(reached, last["last"]) if last.get("condition") == Condition.NOTHING_SELECTED else reached


def _uncovered(settings: Settings, freshness: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Rows of `freshness` by symbol and dataset where there is data, and not one session of it is recorded."""
    covered = query(settings.data_dir, "select distinct dataset, symbol from coverage").to_pylist()
    known = {(row["dataset"], row["symbol"]) for row in covered}
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in freshness:
        if row["rows"] and (row["dataset"], row["symbol"]) not in known:
            found.setdefault(row["symbol"], {})[row["dataset"]] = row
    return found


def _stored(settings: Settings, dataset: str) -> dict[str, dict[str, Any]]:
    sql = (
        f'select symbol, count(*) as rows, min(session) as first, max(session) as last from "{dataset}" group by symbol'
    )
    return {row.pop("symbol"): row for row in query(settings.data_dir, sql).to_pylist()}


def _wrong_platform(settings: Settings, found: Status) -> list[str]:
    pinned, needed = found.lake["identity"], bool(found.symbols)
    if not found.gateways:
        return broker_wrong(settings, found.broker, found.breaker, pinned, needed=needed)
    return [
        sentence
        for one in found.gateways
        for sentence in broker_wrong(settings, one, one["breaker"], pinned, needed=needed)
    ]


def _wrong_symbols(settings: Settings, found: Status, now: datetime) -> list[str]:
    """One sentence a symbol and dataset: never collected, refused, behind, or with holes."""
    wrong: list[str] = []
    stale = {chain.symbol: chain for chain in stale_chains(settings, now)}
    new = set(new_symbols(settings, now))
    uncovered = _uncovered(settings, found.freshness)
    held = ContractChanges(settings.state_url).unfinished(found.symbols)
    wrong += [f"{change.reason} {change.remedy}" for change in held.values()]
    for symbol, rows in uncovered.items():
        days = (found.session - min(row["first"] for row in rows.values())).days
        wrong.append(
            f"{symbol} has rows in {', '.join(rows)} and no coverage of them: the folder coverage was deleted or did"
            f" not come with them. Put it back from a backup; without one, trading-assets setup {typed(symbol)}"
            f" --lookback-days {days} asks the broker again and records what it still gives; past chains and bars of"
            " expired contracts stay in the lake and do not count as complete."
        )
    for row in found.freshness:
        symbol, dataset = row["symbol"], row["dataset"]
        if dataset in uncovered.get(symbol, ()) or symbol in held:
            continue
        if (row["condition"] == "no_contract" and dataset != CONTRACTS.name) or row["condition"] == "nothing_selected":
            continue  # nothing is listed or selected, nothing is missing
        if row["condition"] and Condition(row["condition"]).refused:
            wrong.append(
                f"{symbol}: {dataset} {'failed' if row['condition'] == 'error' else 'is refused'}: {row['reason']}"
            )
        elif not row["rows"]:
            wrong.append(
                f"{symbol} has no {dataset}: trading-assets {'setup' if symbol in new else 'update'} {typed(symbol)}"
            )
        elif row["behind"] and dataset != OPTION_BARS.name:
            wrong.append(
                f"{symbol}: {dataset} is {row['behind']} session(s) behind: trading-assets update {typed(symbol)}"
            )
        elif dataset == OPTION_CHAINS.name and symbol in stale:
            wrong.append(
                f"{symbol}: the chain was last quoted {stale[symbol].newest_at:%Y-%m-%d %H:%M} UTC: trading-assets"
                f" update {typed(symbol)}"
            )
    behind = {
        (row["dataset"], row["symbol"])
        for row in found.freshness
        if row["behind"] and row["dataset"] != OPTION_BARS.name
    }
    for gap in found.gaps:
        if (gap.dataset, gap.symbol) not in behind:
            whose = f"{gap.instruments} contract(s) lack" if gap.dataset == OPTION_BARS.name else "there are gaps in"
            wrong.append(
                f"{gap.symbol}: {whose} {gap.dataset} ({gap.bar_size}) in {gap.sessions} session(s): "
                f"trading-assets backfill {typed(gap.symbol)} --from {gap.first} --to {gap.last}"
            )
    return wrong
