"""The demo: a symbol collected from a cold start on the simulator, and a small report of what came of it.

The demo keeps to a folder of its own under the data folder and starts from nothing, so that it can be repeated; it
never touches an archive. Its clock is pinned shortly after the close of the last session: the same day, the same demo.
"""

from __future__ import annotations

import shutil
import time
from datetime import timedelta
from pathlib import Path
from shlex import quote

from trading_assets.cli.output import Failed, FittedTable, console, print_problems, say, say_as_it_is, table_of
from trading_assets.cli.progress import LiveProgress
from trading_assets.cli.root import own_command
from trading_assets.collecting.report import CollectionReport
from trading_assets.errors import ExtraMissing
from trading_assets.settings import BrokerKind, Settings

AFTER_THE_CLOSE = timedelta(minutes=30)
"""When the demo's clock stands: the session is closed, its bars are finished, its quotes are still there."""

OPTIONS = {"option_chains": {"selection": {"max_days_to_expiry": 30, "strikes_around_spot": 6}}}
"""A selection small enough for a demo: some hundred contracts."""

QUERIES = (
    (
        "The last sessions of {symbol}",
        """select session, open, high, low, close, volume::bigint as volume from equity_bars
where symbol = '{symbol}' and bar_size = '1 day' order by session desc limit 5""",
    ),
    (
        "Contracts around the money of the next expiry, with greeks",
        """select local_symbol, bid, ask, round(implied_volatility, 4) as iv, round(delta, 3) as delta,
                  open_interest::bigint as open_interest
from option_chains where symbol = '{symbol}' and selected
and expiry = (select min(expiry) from option_chains where symbol = '{symbol}' and selected and expiry > session)
order by abs(strike - underlying_price), "right" limit 6""",
    ),
    (
        "What the archive has and why: the coverage",
        """select dataset, bar_size, condition, count(*) as instrument_sessions, count(distinct con_id) as instruments
from coverage group by all order by all""",
    ),
)


def run_demo(symbol: str, lookback_days: int, *, keep: bool) -> int:
    """Collect, check, query, report. Returns the exit code."""
    settings = _settings()
    if not keep:
        _start_from_nothing(settings)
    console.print(
        f"[bold]A cold start of {symbol}[/], {lookback_days} calendar days, from a simulated TWS over a real TCP"
        " connection.\n"
    )
    began = time.monotonic()
    from trading_assets.jobs.orchestrator import DataPipelineOrchestrator

    with LiveProgress() as progress:
        operation = DataPipelineOrchestrator(settings=settings, progress=progress).setup(
            [symbol], lookback_days, OPTIONS
        )
    seconds = time.monotonic() - began
    reports = [report for run in operation.runs for report in run.reports]
    console.print(_collected(settings, reports, seconds))
    print_problems([problem for report in reports for problem in report.problems])
    if not operation.success:
        raise Failed(
            "; ".join(run.error for run in operation.runs if run.error) or "The demo collected less than it planned."
        )

    with LiveProgress() as progress:
        again = DataPipelineOrchestrator(settings=settings, progress=progress).setup([symbol], lookback_days, OPTIONS)
    sent = sum(report.sent for run in again.runs for report in run.reports)
    console.print(f"\nThe same setup again: [bold]{sent} requests[/], nothing is asked for twice.")
    if sent:
        raise Failed(f"The second setup sent {sent} requests; it should have sent none.")

    _query(settings, symbol)
    try:
        drawn = [f"picture  {picture}" for picture in _pictures(settings, symbol)]
    except ExtraMissing as missing:
        drawn = [str(missing)]
    for said in drawn:
        say_as_it_is(said)
    say_as_it_is(
        f"\nLook at it in the Dagster UI:\n  {own_command()} --data-dir {quote(str(settings.data_dir))} up\nand open"
        " http://127.0.0.1:3000/assets"
    )
    return 0


def _settings() -> Settings:
    """The simulated broker on the generated market, half an hour after the last close, in a folder of the demo's
    own."""
    from trading_assets.sessions import calendar

    given = Settings()
    xnys = calendar()
    moment = (
        given.clock()
        if given.now
        else xnys.closes_at(xnys.last_closed(given.clock() - AFTER_THE_CLOSE)) + AFTER_THE_CLOSE
    )
    return given.model_copy(
        update={
            "broker": BrokerKind.SIMULATED,
            "ib_port": None,
            "gateways": (),
            "market": "generated",
            "now": moment,
            "data_dir_setting": (
                given.data_dir.parent / "demo" if given.data_dir_setting is None else given.data_dir / "demo"
            ),
            "database_url": None,
            "lake": None,
        }
    )


def _start_from_nothing(settings: Settings) -> None:
    """Remove what an earlier demo left; nothing else is ever removed."""
    from trading_assets.repositories import LakeIdentity

    if not settings.data_dir.exists() or not any(settings.data_dir.iterdir()):
        return
    identity = LakeIdentity(settings.data_dir).read()
    if identity is None or not identity.startswith("simulated"):
        raise Failed(
            f"{settings.data_dir} holds something that is not an earlier demo's: move it away, or set"
            " TRADING_ASSETS_DATA_DIR."
        )
    shutil.rmtree(settings.data_dir)


def _collected(settings: Settings, reports: list[CollectionReport], seconds: float) -> FittedTable:
    rows = [
        {
            "asset": report.dataset,
            "rows": report.rows,
            "requests planned": report.planned,
            "sent": report.sent,
            "saved": report.saved,
            "outcomes": ", ".join(f"{count} {name}" for name, count in sorted(report.outcomes.items())),
        }
        for report in reports
    ]
    size = sum(file.stat().st_size for file in settings.data_dir.rglob("*.parquet"))
    say(
        f"{sum(r.rows for r in reports):,} rows with {sum(r.sent for r in reports):,} requests in {seconds:.0f} s; "
        f"{size / 1024:,.0f} kB of Parquet in {settings.data_dir}\n"
    )
    return table_of(rows, ["asset", "rows", "requests planned", "sent", "saved", "outcomes"])


def _query(settings: Settings, symbol: str) -> None:
    from trading_assets.repositories.catalog import query, write_catalog

    write_catalog(settings.data_dir)
    for title, text in QUERIES:
        sql = text.format(symbol=symbol)
        table = query(settings.data_dir, sql)
        console.print(f"\n[bold]{title.format(symbol=symbol)}[/]")
        console.print(f"[dim]{sql}[/]", highlight=False, markup=True)
        console.print(table_of(table.to_pylist(), table.column_names))
        if not table.num_rows:
            raise Failed(f"The query brought nothing: {sql}")
    console.print()


def _pictures(settings: Settings, symbol: str) -> list[Path]:
    from trading_assets.monitoring.pictures import price_path_png, smile_png
    from trading_assets.repositories.catalog import query

    folder = settings.data_dir / "report"
    folder.mkdir(parents=True, exist_ok=True)
    bars = query(
        settings.data_dir,
        "select * from equity_bars where symbol = ? and bar_size = '1 day' order by session",
        [symbol],
    ).to_pandas()
    chain = query(
        settings.data_dir, "select * from option_chains where symbol = ? and selected order by expiry, strike", [symbol]
    ).to_pandas()
    path, smile = folder / f"{symbol}_price.png", folder / f"{symbol}_smile.png"
    path.write_bytes(price_path_png(bars, f"{symbol}, daily bars (simulated market)"))
    smile.write_bytes(
        smile_png(
            chain, f"{symbol}, implied volatility at {chain['quoted_at'].max():%Y-%m-%d %H:%M} UTC (simulated market)"
        )
    )
    return [path, smile]
