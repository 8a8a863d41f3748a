"""The check `live_bars_agree`: what was streamed against what the broker's history says of the same time.

It looks at the sessions of its run when live data is merged, and every hour at those of `check_window_sessions`: the
bars of a session are often collected after its live data is merged.
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from trading_assets.bar_sizes import BAR_SECONDS
from trading_assets.checks.rule_checks import scope_of
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.live.agreement import TOLERANCE, agreement
from trading_assets.repositories.live_schema import LIVE_BARS
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.metadata import plain_table
from trading_assets.sessions import calendar
from trading_assets.settings import Settings

LIVE_BARS_AGREE = "live_bars_agree"

ROWS_SHOWN = 50


@dg.asset_check(
    asset=LIVE_BARS.name,
    name=LIVE_BARS_AGREE,
    additional_deps=["equity_bars"],
    description=(
        "The bars of equity_bars of which every five seconds were streamed have the same open, high, low and close,"
        f" within a cent or {TOLERANCE:.1%} of the price."
    ),
)
def live_bars_agree(context: dg.AssetCheckExecutionContext, archive: ArchiveResource) -> dg.AssetCheckResult:
    """Compare the merged sessions."""
    settings = archive.settings()
    scope = scope_of(context.run, settings, LIVE_BARS.name)
    merged = dataset_files(settings.data_dir, LIVE_BARS, first=scope.first, last=scope.last)
    return compare_live_bars(settings, [date.fromisoformat(path.stem) for path in merged])


def compare_live_bars(settings: Settings, sessions: Sequence[date]) -> dg.AssetCheckResult:
    """The check over sessions. It passes where there is nothing to compare, and says so."""
    found = agreement(settings.data_dir, sessions, calendar(), BAR_SECONDS)
    differing = found.differing.num_rows
    said = f"{found.compared} bar(s) of equity_bars were streamed completely"
    if not found.compared:
        said = "No bar of equity_bars was streamed completely: there is nothing to compare"
    elif differing:
        said += f"; {differing} differ from the stream: compare both with another source before you use them"
    else:
        said += ", and agree with the stream"
    metadata = {"compared": found.compared, "differing": differing}
    if differing:
        metadata["bars"] = plain_table(found.differing.slice(0, ROWS_SHOWN))
    return dg.AssetCheckResult(
        passed=not differing,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{said}.",
        metadata=metadata,
    )
