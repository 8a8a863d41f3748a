"""A code location whose one job works until a test ends it. Not a test."""

import time
from pathlib import Path

import dagster as dg

from trading_assets.automation.jobs import RETRIES
from trading_assets.resources.archive import ArchiveResource

BETWEEN_LOOKS = 0.05


@dg.op(config_schema={"until": str}, out=dg.Out(dg.Nothing))
def work(context: dg.OpExecutionContext, archive: ArchiveResource) -> None:
    """Say that it began, in a file named after the run beside `until`; end when that is there."""
    until = Path(context.op_config["until"])
    until.with_name(f"began {context.run_id}").touch()
    while not until.exists():
        time.sleep(BETWEEN_LOOKS)


@dg.job(tags=RETRIES)
def working() -> None:
    """One op."""
    work()


defs = dg.Definitions(jobs=[working], resources={"archive": ArchiveResource()}, executor=dg.in_process_executor)
