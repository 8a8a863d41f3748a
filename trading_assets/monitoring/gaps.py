"""What the archive lacks and may ask for now: missing bars, stale chains, symbols that were never set up, contracts
about to expire.

Pure reading of lake and universe, without a broker and without deciding anything: sensors and people decide. The
conditions behind it are those of `repositories.conditions`. What belongs elsewhere: making requests out of holes
(`planning`), when something is due (`monitoring.hours`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from trading_assets.collecting.backoff import NO_BACKOFF, Backoff
from trading_assets.contract_changes import ContractChanges
from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.plain import Plain
from trading_assets.planning.durations import spans, within_reach
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, REFUSED_SQL
from trading_assets.sessions import NEW_YORK, calendar
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets.validation import Findings, Severity, blocked, known_rules

OPTION_SESSIONS = 42
"""Sessions back in which missing option bars are looked for: two months, more than the reach of the default selection.
What is older shows in `coverage` and is filled by `backfill`; to look further costs a reading of every chain ever
stored."""

RECENT_SNAPSHOTS = 5
"""Sessions back in which the instants of quotes are read; an older snapshot is stale by its session alone."""


@dataclass(frozen=True, slots=True)
class Gap(Plain):
    """Closed sessions of one symbol, dataset and bar size that are missing and may be asked for now.

    `first` and `last` are the outermost of the `sessions` (a count); `instruments` lack something (1: the underlying
    itself, else contracts); `expires` is the nearest expiry of a lacking contract; `requests` is an estimate of what
    filling it costs.
    """

    symbol: str
    dataset: str
    bar_size: str
    first: date
    last: date
    sessions: int
    instruments: int
    expires: date | None
    requests: int


@dataclass(frozen=True, slots=True)
class StaleChain:
    """A symbol whose chain is out of date: when it was last quoted (UTC; None: never), and the session that has begun
    since."""

    symbol: str
    newest_at: datetime | None
    session: date


def find_gaps(settings: Settings, *, now: datetime | None = None, excluding: Backoff = NO_BACKOFF) -> list[Gap]:
    """The gaps of the active symbols: those with the nearest expiry first, then by symbol and dataset.

    A closed session is a gap when it is neither settled nor waiting for its retry time; the last one only when its
    scheduled collection is `lake.COLLECTION_GRACE` ago. Symbols without a contract are not among them (`new_symbols`),
    nor is what is in backoff (`excluding`).
    """
    lake = Lake.of(settings, now)
    symbols = _with_contract(lake, _active(settings))
    if not symbols:
        return []
    return sorted([*_equity_gaps(lake, symbols, excluding), *_option_gaps(lake, symbols, excluding)], key=_urgency)


def expiring_gaps(settings: Settings, by: date, *, now: datetime | None = None) -> list[Gap]:
    """The gaps in which a contract that expires on or before `by` lacks bars, the nearest expiry first.

    What `find_gaps` has of them, and much faster: only symbols with such contracts are looked at, and their options
    alone.
    """
    lake = Lake.of(settings, now)
    sql = """
        select distinct symbol from option_chains
        where selected and expiry between $today and $by and symbol in (select unnest($symbols::varchar[]))
        order by symbol"""
    values = {"symbols": _active(settings), "today": lake.now.astimezone(NEW_YORK).date(), "by": by}
    symbols = lake.query(sql, values)["symbol"].to_pylist()
    symbols = _with_contract(lake, symbols) if symbols else []
    if not symbols:
        return []
    found = _option_gaps(lake, symbols)
    return sorted((gap for gap in found if gap.expires is not None and gap.expires <= by), key=_urgency)


def within_budget(gaps: Iterable[Gap], budget: int) -> list[Gap]:
    """As many of the gaps as fit into `budget` requests, those that expire first; `requests` of each is what may be
    spent on it.

    The last one may be filled in part: what is left of it is a gap still.
    """
    chosen: list[Gap] = []
    left = budget
    for gap in sorted(gaps, key=_urgency):
        if not left:
            break
        chosen.append(replace(gap, requests=min(gap.requests, left)))
        left -= chosen[-1].requests
    return chosen


def waiting_options(settings: Settings, gaps: Iterable[Gap]) -> dict[str, str]:
    """Symbols among the gaps whose option bars are not to be asked for now, each with the sentence that says why.

    A run would refuse them and send nothing: there are no equity bars yet, or data they build on violates a rule that
    blocks. Rules are run anew only for symbols that violate one by the last validation.
    """
    of_options = [gap for gap in gaps if gap.dataset == OPTION_BARS.name]
    symbols = sorted({gap.symbol for gap in of_options})
    if not symbols:
        return {}
    ready = Lake.of(settings).with_equity_bars(symbols)
    waiting = {
        symbol: f"{symbol} has no equity bars yet, and they come first." for symbol in symbols if symbol not in ready
    }
    blocking = {rule.name for rule in known_rules() if rule.blocks}
    suspects = {
        f.symbol
        for f in Findings(settings.state_url).current(severity=Severity.ERROR, symbols=symbols)
        if f.rule in blocking
    }
    first, last = min(gap.first for gap in of_options), max(gap.last for gap in of_options)
    return waiting | blocked(
        settings, (CONTRACTS.name, OPTION_CHAINS.name, EQUITY_BARS.name), suspects, first=first, last=last
    )


def stale_chains(settings: Settings, now: datetime | None = None) -> list[StaleChain]:
    """Active symbols whose newest snapshot is older than `settings.stale_chain_hours` while a session has begun since
    it, by symbol.

    Left out: symbols that were never set up (`new_symbols`), and those whose chain was refused and may not be asked for
    yet (among them the symbols without options).
    """
    lake = Lake.of(settings, now)
    current = lake.calendar.current(lake.now)
    opened = lake.calendar.opens_at(current)
    limit = timedelta(hours=settings.stale_chain_hours)
    symbols = _with_contract(lake, _active(settings))
    sql = f"""
        with recorded as (
            select symbol,
                   arg_max(condition, session) in ({REFUSED_SQL})
                       and arg_max_null(retry_after, session) > $now as waiting,
                   arg_max(collected_at, session)
                       filter (condition in ('complete', 'partial', 'nothing_selected')) as collected_at,
                   arg_max(condition, session) = 'nothing_selected' as unselected
            from coverage
            where dataset = 'option_chains' and con_id = 0 and symbol in (select unnest($symbols::varchar[]))
            group by symbol),
        quoted as (
            select symbol, max(coalesce(quoted_at, collected_at)) as quoted_at
            from option_chains
            where session >= $recent and symbol in (select unnest($symbols::varchar[]))
            group by symbol)
        select symbol, epoch(if(unselected, collected_at, coalesce(quoted_at, collected_at))) as newest
        from recorded left join quoted using (symbol)
        where not coalesce(waiting, false) order by symbol"""
    # Seconds and not an instant: pyarrow imports pandas to give one, a quarter of the time of `status`.
    values = {"symbols": symbols, "now": lake.now, "recent": lake.calendar.previous(current, RECENT_SNAPSHOTS)}
    rows = lake.query(sql, values).to_pylist()
    newest = {
        row["symbol"]: datetime.fromtimestamp(row["newest"], UTC) if row["newest"] is not None else None for row in rows
    }
    return [
        StaleChain(symbol, at, current)
        for symbol, at in newest.items()
        if at is None or (lake.now - at > limit and opened > at)
    ]


def new_symbols(settings: Settings, now: datetime | None = None) -> list[str]:
    """Active symbols that were never set up, or only half: without a contract, or without any coverage of chain or
    equity bars.

    A symbol whose contract the broker refused is left out until its retry time.
    """
    lake, symbols = Lake.of(settings, now), _active(settings)
    sql = f"""
        select symbol,
               arg_max(condition, session) filter (dataset = 'contracts') in ({REFUSED_SQL})
                   and arg_max_null(retry_after, session) filter (dataset = 'contracts') > $now as refused,
               bool_or(dataset = 'option_chains') and bool_or(dataset = 'equity_bars') as whole
        from coverage
        where dataset in ('contracts', 'option_chains', 'equity_bars')
          and symbol in (select unnest($symbols::varchar[]))
        group by symbol"""
    known = {row["symbol"]: row for row in lake.query(sql, {"symbols": symbols, "now": lake.now}).to_pylist()}
    resolved = set(_with_contract(lake, symbols))
    refused = {symbol for symbol, row in known.items() if row["refused"]}
    whole = {symbol for symbol, row in known.items() if row["whole"]} & resolved
    return [symbol for symbol in symbols if symbol not in whole and symbol not in refused]


def expiring(settings: Settings, session: date) -> dict[str, int]:
    """Contracts of active symbols that are wanted in `session` or in the `OPTION_SESSIONS` before and trade in it for
    the last time: their number by symbol."""
    lake = Lake.of(settings, calendar().closes_at(session))
    sql = (
        "select symbol, count(distinct con_id) as contracts from selected_contracts where last_day = $day group by"
        " symbol order by symbol"
    )
    first = lake.calendar.previous(session, OPTION_SESSIONS)
    found = lake.over_conditions(
        _active(settings), sql, {"day": session}, datasets=[OPTION_BARS.name], first=first, last=session
    )
    return {row["symbol"]: row["contracts"] for row in found.to_pylist()}


def _active(settings: Settings) -> list[str]:
    """The active symbols but those whose contract has changed: nothing is asked for them until the user decides."""
    held = ContractChanges(settings.state_url).unfinished()
    return [symbol for symbol in Universe(settings.state_url).active() if symbol not in held]


def _with_contract(lake: Lake, symbols: Sequence[str]) -> list[str]:
    """Those of the symbols that have contract details in the lake, by name."""
    sql = "select distinct symbol from contracts where symbol in (select unnest($symbols::varchar[])) order by symbol"
    return lake.query(sql, {"symbols": list(symbols)})["symbol"].to_pylist()


def _equity_gaps(lake: Lake, symbols: Sequence[str], excluding: Backoff = NO_BACKOFF) -> list[Gap]:
    sql = """select symbol, bar_size, list(session order by session) as missing from conditions
             where askable > 0 group by symbol, bar_size order by symbol, bar_size"""
    rows = lake.over_conditions(symbols, sql, datasets=[EQUITY_BARS.name], last=lake.bars_due).to_pylist()
    gaps = []
    for row in rows:
        size = row["bar_size"]
        backoff = excluding.underlyings.get((row["symbol"], size), frozenset())
        missing = within_reach(size, [session for session in row["missing"] if session not in backoff], lake.now)
        if not missing:
            continue
        cost = len(spans(size, missing, lake.now, lake.calendar))
        gaps.append(Gap(row["symbol"], EQUITY_BARS.name, size, missing[0], missing[-1], len(missing), 1, None, cost))
    return gaps


def _option_gaps(lake: Lake, symbols: Sequence[str], excluding: Backoff = NO_BACKOFF) -> list[Gap]:
    # From the contracts alone: rolling them up into a condition a session, as `conditions` does, doubles the work and
    # adds nothing here.
    sql = """select symbol, list(distinct session order by session) as missing, count(distinct con_id) as contracts,
                    min(expiry) as expires
             from lacking_contracts
             anti join (select unnest($held::bigint[]) as con_id,
                               unnest($held_sessions::date[]) as session) using (con_id, session)
             group by symbol order by symbol"""
    values = {
        "held": [con_id for con_id, _ in excluding.contracts],
        "held_sessions": [session for _, session in excluding.contracts],
    }
    last = lake.bars_due
    first = lake.calendar.previous(last, OPTION_SESSIONS)
    rows = lake.over_conditions(symbols, sql, values, datasets=[OPTION_BARS.name], first=first, last=last).to_pylist()
    gaps = []
    for row in rows:
        missing = row["missing"]
        cost = row["contracts"] * len(spans(OPTION_BAR_SIZE, missing, lake.now, lake.calendar, sparse=True))
        found = Gap(
            row["symbol"],
            OPTION_BARS.name,
            OPTION_BAR_SIZE,
            missing[0],
            missing[-1],
            len(missing),
            row["contracts"],
            row["expires"],
            cost,
        )
        gaps.append(found)
    return gaps


def _urgency(gap: Gap) -> tuple[date, str, str, str]:
    return gap.expires or date.max, gap.symbol, gap.dataset, gap.bar_size
