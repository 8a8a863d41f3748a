"""What a setup or update would cost, from what the lake holds now. Reads the lake and the journal, sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pyarrow as pa

from trading_assets.broker.requests import Request
from trading_assets.broker.routing import gateway_of
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.chain_selection import is_still_without_expiry, same_selection
from trading_assets.collecting.steps.common import known_underlyings, refusals, settled_bars, without_selection
from trading_assets.collecting.steps.contracts import contracts_plan
from trading_assets.collecting.steps.option_bars import wanted_options
from trading_assets.collecting.steps.partial_quotes import quotes_left
from trading_assets.collecting.steps.recorded_chains import RecordedChains
from trading_assets.instrument import OPTION_BAR_SIZE, Instrument
from trading_assets.planning.bars import plan_equity_bars, plan_option_bars
from trading_assets.planning.chains import plan_parameters
from trading_assets.planning.estimate import Estimate, Pacing, Stage, estimate_cold, estimate_stage
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS
from trading_assets.selection_rules import SelectionRules
from trading_assets.universe import UniverseEntry


def preview(
    archive: Archive,
    entries: Sequence[UniverseEntry],
    sessions: Sequence[date],
    rules: SelectionRules,
) -> Estimate:
    """The cost of bringing `sessions` (closed ones) and today's snapshot of the symbols into the lake.

    Stages whose requests follow from the lake alone are exact; what depends on answers not given yet (which expiries
    and strikes are listed) is assumed and marked.
    """
    pacing = _pacing(archive, entries)
    total = Estimate(tuple(Stage(dataset.name) for dataset in (CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS)))
    contracts = contracts_plan(archive, entries, archive.calendar.current(archive.now)).plan
    held = archive.changes.unfinished([entry.symbol for entry in entries])
    # nothing but their contract details is asked for
    entries = [entry for entry in entries if entry.symbol not in held]
    symbols = [entry.symbol for entry in entries]
    listed = archive.view(OPTION_CHAINS).stored_sessions(symbols, where="selected")
    underlyings = known_underlyings(archive, archive.view(CONTRACTS), symbols)
    session = archive.calendar.current(archive.now)
    recorded = RecordedChains(archive, session, rules, underlyings, refresh=False, quoted_since=None)
    answered = recorded.unselected.keys() | refusals(archive, OPTION_CHAINS, symbols, archive.now).keys()
    waiting = _unselected_yet(archive, [symbol for symbol in symbols if symbol not in answered], rules)
    cold = [
        entry
        for entry in entries
        if entry.symbol not in listed and entry.symbol not in answered and entry.symbol not in waiting
    ]
    for entry in cold:
        days = (archive.calendar.current(archive.now) - sessions[0]).days if sessions else 0
        sizes = archive.settings.equity_bar_sizes
        assumed = estimate_cold(
            entry.symbol, archive.now, days, rules, archive.calendar, bar_sizes=sizes, pacing=pacing
        )
        total += Estimate(
            tuple(stage for stage in assumed.stages if stage.dataset in (OPTION_CHAINS.name, OPTION_BARS.name))
        )
    warm = [symbol for symbol in symbols if symbol in listed]
    return total + Estimate(
        (
            estimate_stage(CONTRACTS.name, contracts.requests, archive.calendar, pacing=pacing),
            _chains(archive, recorded, [s for s in warm if s not in answered and s not in waiting], pacing)
            + estimate_stage(
                OPTION_CHAINS.name,
                plan_parameters([underlyings[symbol] for symbol in waiting], session),
                archive.calendar,
                pacing=pacing,
            ),
            estimate_stage(
                EQUITY_BARS.name, _equity(archive, entries, underlyings, sessions), archive.calendar, pacing=pacing
            ),
            _options(archive, warm, sessions, pacing),
        )
    )


def _unselected_yet(archive: Archive, symbols: Sequence[str], rules: SelectionRules) -> list[str]:
    """The symbols of whose last chain these very rules selected nothing, and whose next expiry is not within them yet:
    only what is listed will be asked for."""
    session = archive.calendar.current(archive.now)
    latest = session + timedelta(days=rules.max_days_to_expiry)
    reasons = without_selection(archive, symbols)
    return sorted(
        symbol
        for symbol, reason in reasons.items()
        if same_selection(reason, rules) and is_still_without_expiry(reason, latest)
    )


def _pacing(archive: Archive, entries: Sequence[UniverseEntry]) -> Pacing:
    """The limits of the gateways that the symbols go through, together."""
    gateways = archive.settings.each_gateway()
    if len(gateways) > 1:
        names = [gateway.name for gateway in archive.settings.gateways]
        used = {gateway_of(entry.symbol, names) for entry in entries}
        gateways = tuple(one for one in gateways if one.gateway_name in used) or gateways
    return Pacing(
        sum(one.messages_per_second for one in gateways),
        sum(one.open_history_requests for one in gateways),
        sum(one.market_data_lines for one in gateways),
        sum(one.small_bar_requests_in_10_min for one in gateways),
    )


def _chains(archive: Archive, recorded: RecordedChains, symbols: Sequence[str], pacing: Pacing) -> Stage:
    """Symbols with an earlier snapshot: parameters and quotes of as many contracts as were selected last; new expiries
    are not known.

    Of a snapshot of this session that lacks values of quotes, just these quotes are requested again.
    """
    session, begun = recorded.session, recorded.resumed()
    rows = pa.concat_tables(
        [OPTION_CHAINS.schema.empty_table(), *(chain.chosen for symbol, chain in begun.items() if symbol in symbols)]
    )
    again = estimate_stage(OPTION_CHAINS.name, quotes_left(archive, rows, session), archive.calendar, pacing=pacing)
    open_symbols = [symbol for symbol in symbols if symbol not in recorded.finished and symbol not in begun]
    if not open_symbols:
        return again
    underlyings = [recorded.underlyings[symbol] for symbol in open_symbols if symbol in recorded.underlyings]
    selected = archive.view(OPTION_CHAINS).as_of(open_symbols, session, columns=["symbol"], where="selected").num_rows
    stage = estimate_stage(OPTION_CHAINS.name, plan_parameters(underlyings, session), archive.calendar, pacing=pacing)
    quotes = Stage(
        OPTION_CHAINS.name, {"quote": selected + len(underlyings)}, 2 * (selected + len(underlyings)), exact=False
    )
    return again + stage + quotes


def _equity(
    archive: Archive, entries: Sequence[UniverseEntry], underlyings: Mapping[str, Instrument], sessions: Sequence[date]
) -> list[Request]:
    if not sessions:
        return []
    symbols = [entry.symbol for entry in entries]
    wanted = {entry.symbol: (underlyings.get(entry.symbol, entry.instrument), sessions) for entry in entries}
    requests: list[Request] = []
    for size in archive.settings.equity_bar_sizes:
        known = settled_bars(archive, EQUITY_BARS, size, archive.lake.wanted(EQUITY_BARS, size, symbols, sessions))
        settled = {symbol: known[symbol, 0] for symbol in symbols}
        requests += plan_equity_bars(wanted, settled, dict.fromkeys(symbols), size, archive.now, archive.calendar)
    return requests


def _options(archive: Archive, symbols: Sequence[str], sessions: Sequence[date], pacing: Pacing) -> Stage:
    if not sessions or not symbols:
        return Stage(OPTION_BARS.name)
    rows = archive.lake.wanted(OPTION_BARS, OPTION_BAR_SIZE, symbols, sessions)
    settled = {con_id: days for (_, con_id), days in settled_bars(archive, OPTION_BARS, OPTION_BAR_SIZE, rows).items()}
    plan = plan_option_bars(
        wanted_options(archive.view(OPTION_CHAINS), rows), settled, archive.now, archive.calendar, OPTION_BAR_SIZE
    )
    return estimate_stage(OPTION_BARS.name, plan.requests, archive.calendar, lost=plan.lost, pacing=pacing)
