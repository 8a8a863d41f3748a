"""The `trading-assets` command. Dagster is imported inside the commands that need it: `--help` and queries stay
quick."""

from trading_assets.cli.app import main

__all__ = ["main"]
