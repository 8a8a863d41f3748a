"""The steps of a run in this process, without Dagster: collected and written as its assets do, in a third of the time.

For scenarios of many runs that are about what is asked and stored; one run of each kind in them goes through Dagster.
Not a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from trading_assets.assets.config import CONFIGS
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.collecting.steps.equity_bars import collect_equity_bars
from trading_assets.collecting.steps.option_bars import collect_option_bars
from trading_assets.collecting.steps.option_chains import collect_option_chains
from trading_assets.monitoring.agenda import WantedRun
from trading_assets.repositories.schemas import CONTRACTS, OPTION_CHAINS
from trading_assets.settings import Settings


def fill(settings: Settings, wanted: WantedRun) -> list[CollectionReport]:
    """The bars that a run of the agenda is to collect, asset by asset; their reports."""
    with Archive(settings) as archive:
        return [_written(archive, _bars(archive, wanted, name)) for name in wanted.assets]


def snapshot(settings: Settings, config: Mapping[str, Mapping[str, Any]]) -> list[CollectionReport]:
    """The contract details and chains of the current session; their reports."""
    with Archive(settings) as archive:
        session = archive.calendar.current(archive.now)
        chosen = {name: CONFIGS[name](**config[name]) for name in (CONTRACTS.name, OPTION_CHAINS.name)}
        entries = archive.universe.resolve(chosen[CONTRACTS.name].symbols)
        contracts = _written(archive, collect_contracts(archive, entries, session))
        rules = chosen[OPTION_CHAINS.name].selection.rules(settings.selection)  # type: ignore[attr-defined]
        view = archive.view(CONTRACTS)
        chains = collect_option_chains(archive, entries, session, contracts=view, rules=rules)
        return [contracts, _written(archive, chains)]


def _bars(archive: Archive, wanted: WantedRun, name: str) -> Collected:
    config: Any = CONFIGS[name](**wanted.config[name])
    first, last = date.fromisoformat(config.first_session), date.fromisoformat(config.last_session)
    how: dict[str, Any] = {
        "contracts": archive.view(CONTRACTS),
        "bar_sizes": tuple(config.bar_sizes) or archive.settings.equity_bar_sizes,
        "max_requests": config.max_requests,
        "respect_backoff": config.respect_backoff,
    }
    entries, sessions = archive.universe.resolve(config.symbols), archive.calendar.sessions(first, last)
    if name == "equity_bars":
        return collect_equity_bars(archive, entries, sessions, **how)
    return collect_option_bars(archive, entries, sessions, chains=archive.view(OPTION_CHAINS), **how)


def _written(archive: Archive, collected: Collected) -> CollectionReport:
    archive.write(collected)
    return collected.report
