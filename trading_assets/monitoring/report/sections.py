"""What the report says: a section a subject, each with a table or a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from trading_assets.broker.quarantine import Quarantine
from trading_assets.errors import ExtraMissing
from trading_assets.monitoring.alerts import Alerts
from trading_assets.monitoring.heatmap import coverage_png
from trading_assets.monitoring.status import Status, platform_status
from trading_assets.monitoring.volatility_picture import volatility_png
from trading_assets.monitoring.wording import minute
from trading_assets.remedies import typed
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import DATASETS
from trading_assets.settings import Settings, system_clock
from trading_assets.state import read_state
from trading_assets.state.tables import requests
from trading_assets.validation.reviews import Reviews

REQUEST_DAYS = 30
"""Days (UTC) of requests that are counted."""

DAY_SECONDS = 86_400

CHAIN_SESSIONS = 5
"""Newest snapshots of each symbol whose size is shown."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    """A title, one sentence, and rows or a picture (PNG); without either `note` says that there is nothing to show."""

    title: str
    note: str = ""
    rows: tuple[Row, ...] = ()
    picture: bytes | None = None

    @property
    def columns(self) -> list[str]:
        """The columns of all rows, in the order in which they first appear."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def cells(self, row: Row) -> list[Any]:
        """The values of a row in the order of `columns`; None where it has none."""
        return [row.get(name) for name in self.columns]


@dataclass(frozen=True)
class Report:
    """The archive at `now` (UTC). `wrong` are sentences that say who, what and what to do; empty: all is well."""

    data_dir: str
    now: datetime
    session: str
    symbols: tuple[str, ...]
    wrong: tuple[str, ...]
    sections: tuple[Section, ...] = field(default=())

    def head(self) -> list[str]:
        """The lines that a text begins with: which archive, when, and what is wrong."""
        lines = [f"Archive {self.data_dir} at {self.now:%Y-%m-%d %H:%M} UTC, session {self.session}"]
        return lines + ([f"- {sentence}" for sentence in self.wrong] or ["All is well."])


def collect(settings: Settings) -> Report:
    """Everything at the instant of the settings' clock, over the last `check_window_sessions` sessions."""
    status = platform_status(settings, probe=False)
    parts: list[Callable[[Settings, Status], Section]] = [
        _alerts,
        _freshness,
        _coverage,
        _waiting,
        _requests,
        _pacing,
        _chains,
        _volatility,
        _storage,
    ]
    return Report(
        data_dir=status.data_dir,
        now=status.now.astimezone(UTC),
        session=status.session.isoformat(),
        symbols=tuple(status.symbols),
        wrong=tuple(status.wrong),
        sections=tuple(part(settings, status) for part in parts),
    )


def _alerts(settings: Settings, _: Status) -> Section:
    rows = tuple(
        {
            "alert": alert.alert_type.value,
            "subject": alert.subject,
            "severity": alert.severity.value,
            "open since": minute(alert.opened_at),
            "reason": alert.reason,
            "what to do": alert.remedy,
        }
        for alert in Alerts(settings).open()
    )
    return Section("Open alerts", "" if rows else "No alert is open.", rows)


def _freshness(_: Settings, status: Status) -> Section:
    rows = tuple(
        {
            "symbol": row["symbol"],
            "dataset": row["dataset"],
            "rows": row["rows"],
            "first": row.get("first"),
            "last": row.get("last"),
            "sessions behind": row["behind"],
            **row["conditions"],
        }
        for row in sorted(status.freshness, key=lambda row: (row["symbol"], row["dataset"]))
    )
    note = "Sessions of the last six weeks by condition." if rows else "The universe is empty."
    return Section("Freshness", note, rows)


def _coverage(settings: Settings, status: Status) -> Section:
    lake = Lake.of(settings, status.now)
    first = lake.calendar.previous(status.session, settings.check_window_sessions - 1)
    table = lake.conditions(status.symbols, first=first, last=status.session)
    if not table.num_rows:
        return Section("Coverage", "Nothing is recorded yet.")
    note = f"Sessions {first} to {status.session}. White: nothing was wanted."
    return Section("Coverage", note, picture=coverage_png(table))


def _waiting(settings: Settings, status: Status) -> Section:
    held: list[Row] = [
        {
            "waits for": f"trading-assets review accept {typed(each.symbol)} {each.session} (or reject)",
            "symbol": each.symbol,
            "session": each.session,
            "what": f"{each.bar_size} bar, rule {each.rule}, close {each.close}",
            "since": minute(each.held_at),
        }
        for each in Reviews(settings).held()
    ]
    entries: list[Row] = [
        {
            "waits for": f"trading-assets quarantine show {entry.id}",
            "symbol": entry.symbol,
            "session": ", ".join(str(day) for day in entry.sessions[:3]),
            "what": f"{entry.dataset} {entry.contract}: {entry.reason}".replace("  ", " "),
            "since": minute(entry.quarantined_at),
        }
        for entry in Quarantine(settings.state_url).entries()
        if entry.state(status.now) == "open"
    ]
    rows = (*held, *entries)
    note = "" if rows else "No bar is held for review and no answer is in quarantine."
    return Section("Held for review and in quarantine", note, rows)


def _requests(settings: Settings, _: Status) -> Section:
    since = (system_clock() - timedelta(days=REQUEST_DAYS)).timestamp()
    # The number of the day, counted by the database: rounding down is spelled alike in SQLite and PostgreSQL only so.
    day = sa.func.round(requests.c.finished_at / DAY_SECONDS - 0.5)
    counted = (
        sa.select(
            day.label("day"),
            requests.c.outcome,
            sa.func.count().label("ended"),
            sa.func.sum(requests.c.attempt).label("sent"),
        )
        .where(requests.c.finished_at >= since)
        .group_by(day, requests.c.outcome)
        .order_by(day.desc(), requests.c.outcome)
    )
    days: dict[str, Counter[str]] = {}
    with read_state(settings.state_url) as connection:
        for row in connection.execute(counted):
            name = f"{datetime.fromtimestamp(row.day * DAY_SECONDS, UTC):%Y-%m-%d}"
            of_day = days.setdefault(name, Counter(sent=0))
            of_day["sent"] += int(row.sent)
            of_day[row.outcome] += row.ended
    rows = tuple({"day": name, **of_day} for name, of_day in days.items())
    note = f"Of the last {REQUEST_DAYS} days (UTC), by outcome; repeats count as sent." if rows else "None was sent."
    return Section("Requests by day", note, rows)


def _pacing(_: Settings, status: Status) -> Section:
    rows = tuple({"allowance": name, **values} for name, values in status.pacing.items() if isinstance(values, Mapping))
    return Section("Pacing", f"Now; {status.requests['sent_today']:,} requests were sent in the last 24 hours.", rows)


def _chains(settings: Settings, status: Status) -> Section:
    sql = """
        select symbol, session, count(distinct expiry) as expiries, count(*) as listed,
               count(*) filter (selected) as selected, count(*) filter (bid is not null or ask is not null) as quoted,
               count(*) filter (delta is not null) as with_greeks
        from option_chains
        where symbol in (select unnest($symbols::varchar[]))
        group by symbol, session
        qualify row_number() over (partition by symbol order by session desc) <= $newest
        order by symbol, session desc"""
    values = {"symbols": list(status.symbols), "newest": CHAIN_SESSIONS}
    rows = tuple(Lake.of(settings, status.now).query(sql, values).to_pylist())
    return Section("Option chains", "" if rows else "There is no chain yet.", rows)


def _volatility(settings: Settings, status: Status) -> Section:
    try:
        picture = volatility_png(Lake.of(settings, status.now), status.symbols)
    except ExtraMissing as missing:
        return Section("Implied volatility", str(missing))
    if picture is None:
        return Section("Implied volatility", "There is no volatility yet.")
    return Section("Implied volatility", "The newest chains: smiles by expiry, and the surface.", picture=picture)


def _storage(settings: Settings, _: Status) -> Section:
    sizes: dict[tuple[str, str], int] = {}
    for dataset in DATASETS.values():
        for kind in (dataset, revisions_of(dataset)):
            for path in dataset_files(settings.data_dir, kind):
                key = (kind.name, path.stem)
                sizes[key] = sizes.get(key, 0) + path.stat().st_size
    periods = sorted({period for _, period in sizes}, reverse=True)
    names = sorted({name for name, _ in sizes})
    rows = tuple(
        {"period": period, **{name: _size(sizes.get((name, period), 0)) for name in names}} for period in periods
    )
    total = _size(sum(sizes.values()))
    return Section("Storage", f"{total} in all, by the periods of the files." if rows else "There is no file.", rows)


def _size(count: int) -> str:
    return f"{count / 1e6:,.2f} MB" if count else ""
