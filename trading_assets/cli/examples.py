"""Examples of each command, shown at the end of its `--help`."""

from __future__ import annotations

import typer
from rich.markup import escape

EXAMPLES = {
    "": """
trading-assets demo                         # a cold start, no account
trading-assets plan AAPL                    # what would it cost?
trading-assets setup AAPL                   # collect it
trading-assets status                       # is all well?
trading-assets --data-dir /srv/lake status  # another data folder
""",
    "demo": """
trading-assets demo
trading-assets demo --symbol SPY --lookback-days 30
""",
    "up": """
trading-assets up
trading-assets up --port 3100 --live
""",
    "worker": """
trading-assets worker
trading-assets worker --runs 4
""",
    "simulate": """
trading-assets simulate --port 7497
trading-assets simulate --now 2024-06-03T15:30-04:00 --speed 60
""",
    "plan": """
trading-assets plan AAPL SPY
trading-assets plan SPX --max-days-to-expiry 30 --strikes 8
""",
    "setup": """
trading-assets setup AAPL
trading-assets setup SPX --strikes 8 --lookback-days 90
trading-assets setup - < symbols.txt
""",
    "distribute": """
trading-assets distribute greeks --from 2024-01-02
trading-assets distribute status
""",
    "distribute greeks": """
trading-assets distribute greeks --from 2024-01-02 --to 2024-12-31
trading-assets distribute greeks SPX --from 2024-01-02 --sessions-per-part 5
""",
    "distribute backfill": """
trading-assets distribute backfill --from 2015-01-02
trading-assets distribute backfill --from 2015-01-02 --symbols-per-part 25
""",
    "distribute validation": """
trading-assets distribute validation
trading-assets distribute validation --symbols-per-part 50
""",
    "distribute status": """
trading-assets distribute status                 # all of them
trading-assets distribute status greeks-2024-01-02-2024-12-31-3f2a9c
""",
    "distribute repeat": """
trading-assets distribute repeat greeks-2024-01-02-2024-12-31-3f2a9c
trading-assets distribute repeat greeks-2024-01-02-2024-12-31-3f2a9c --all
""",
    "distribute stop": """
trading-assets distribute stop greeks-2024-01-02-2024-12-31-3f2a9c
""",
    "update": """
trading-assets update             # all active symbols
trading-assets update AAPL --json
""",
    "backfill": """
trading-assets backfill --from 2024-01-02
trading-assets backfill AAPL --from 2024-01-02 --bar-size '1 hour'
""",
    "universe": """
trading-assets universe add AAPL SPX
trading-assets universe list
""",
    "universe list": "trading-assets universe list --json",
    "universe add": """
trading-assets universe add AAPL SPX
trading-assets universe add MID --sec-type IND --exchange PHLX
trading-assets universe add - < symbols.txt
""",
    "universe remove": "trading-assets universe remove AAPL",
    "universe resolve": """
trading-assets universe resolve META --same  # the same company
trading-assets universe resolve META --new   # another company
""",
    "universe series": "trading-assets universe series META",
    "universe restore": """
trading-assets universe restore
trading-assets universe restore AAPL SPY
trading-assets universe restore --none
""",
    "quarantine": """
trading-assets quarantine
trading-assets quarantine show 7
""",
    "quarantine list": "trading-assets quarantine list --all",
    "quarantine show": "trading-assets quarantine show 7",
    "quarantine retry": "trading-assets quarantine retry 7",
    "quarantine discard": "trading-assets quarantine discard 7",
    "quarantine accept": """
trading-assets quarantine accept AAPL
trading-assets quarantine accept AAPL --from 2024-06-03 --volume round_lots
""",
    "review": """
trading-assets review list
trading-assets review accept AAPL 2024-06-10
""",
    "review list": "trading-assets review list --all",
    "review accept": "trading-assets review accept AAPL 2024-06-10",
    "review reject": "trading-assets review reject AAPL 2024-06-10",
    "query": """
trading-assets query "from equity_bars order by session desc limit 5"
trading-assets query "from coverage" --format csv > coverage.csv
trading-assets query "from option_chains" --as-of 2024-06-03T16:00-04:00
""",
    "export": """
trading-assets export equity_bars bars.parquet
trading-assets export option_bars spy.csv --symbol SPY --from 2024-06-03
trading-assets export equity_bars catalog --format nautilus
""",
    "lineage": """
trading-assets lineage equity_bars --symbol AAPL --session 2024-06-03
trading-assets lineage request 12
trading-assets lineage partition option_chains --session 2024-06-03
trading-assets lineage outdated
""",
    "status": """
trading-assets status
trading-assets status --no-probe --json
""",
    "diagnose": "trading-assets diagnose > report.txt",
    "coverage": """
trading-assets coverage
trading-assets coverage AAPL --from 2024-06-03 --by-session
trading-assets coverage --dataset option_chains --picture coverage.png
""",
    "validate": """
trading-assets validate
trading-assets validate AAPL --dataset equity_bars --from 2024-06-03
""",
    "quality": "trading-assets quality --picture quality.png",
    "report": """
trading-assets report --out archive.html
trading-assets report --text
""",
    "alerts": """
trading-assets alerts
trading-assets alerts ack 12
""",
    "alerts list": "trading-assets alerts list --all",
    "alerts ack": """
trading-assets alerts ack 12
trading-assets alerts ack missing_equity_data:AAPL --by anna
""",
    "alerts silence": """
trading-assets alerts silence missing_equity_data:AAPL --hours 24
trading-assets alerts silence missing_equity_data --hours 0        # end it
""",
    "alerts test": "trading-assets alerts test log",
    "alerts rules": "trading-assets alerts rules list",
    "alerts rules list": "trading-assets alerts rules list --json",
    "alerts rules add": """
trading-assets alerts rules add run_failed log
trading-assets alerts rules add run_failed phone --remind-hours 4
""",
    "alerts rules remove": "trading-assets alerts rules remove run_failed phone",
    "live": """
trading-assets live AAPL SPX --options 10
trading-assets live --seconds 60 --json
trading-assets live --status
""",
    "positions": """
trading-assets positions --greeks
trading-assets positions --spot -0.05 --spot 0.05 --volatility 0.02
trading-assets positions --store
trading-assets positions --pnl
""",
    "maintain": "trading-assets maintain weekly --dry-run",
    "maintain weekly": "trading-assets maintain weekly --dry-run",
    "maintain monthly": "trading-assets maintain monthly --dry-run --delete",
    "backup": """
trading-assets backup /backup/archive
trading-assets backup /backup/archive --verify
trading-assets backup /backup/archive --keep 30 --delete
""",
    "restore": """
trading-assets restore /backup/archive --dry-run
trading-assets restore /backup/archive
""",
    "archive": """
trading-assets archive create --dry-run
trading-assets archive list
""",
    "archive create": "trading-assets archive create --months-back 24 --to /archive",
    "archive verify": "trading-assets archive verify /archive",
    "archive list": "trading-assets archive list /archive",
    "archive restore": "trading-assets archive restore /archive --dry-run",
    "archive remove": """
trading-assets archive remove /archive
trading-assets archive remove /archive --apply
""",
    "archive mount": "trading-assets archive mount",
    "doctor": """
trading-assets doctor
trading-assets doctor --fix --from /backup/archive
""",
    "rebuild-identity": "trading-assets rebuild-identity",
}
"""By the words of the command; a `#` begins a comment. They fit into 80 columns."""


def add_examples(app: typer.Typer, path: tuple[str, ...] = ()) -> None:
    """Put the examples under the help of `app` and of all its commands. Raises `KeyError` for one without any."""
    for entry in app.registered_commands:
        assert entry.callback is not None
        name = entry.name or entry.callback.__name__.replace("_", "-")
        entry.epilog = section(" ".join((*path, name)))
    for group in app.registered_groups:
        inner = (*path, str(group.name))
        group.epilog = section(" ".join(inner))
        assert group.typer_instance is not None
        add_examples(group.typer_instance, inner)


def section(command: str) -> str:
    """The section of a command's help. Raises `KeyError` where there are no examples."""
    lines = EXAMPLES[command].strip().splitlines()
    return escape("\n".join(("\nExamples:", *(f"  {line}" for line in lines))))  # the first line keeps the indentation
