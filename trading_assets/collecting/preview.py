"""What a setup or update would cost, from what the lake holds now. Reads the lake and the journal, sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from trading_assets.broker.requests import Request
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.chain_selection import same_selection
from trading_assets.collecting.steps.common import known_underlyings, refusals, settled_bars
from trading_assets.collecting.steps.contracts import contracts_plan
from trading_assets.collecting.steps.listings import may_be_resumed
from trading_assets.collecting.steps.option_bars import wanted_options
from trading_assets.collecting.steps.partial_quotes import quotes_left
from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.planning.bars import plan_equity_bars, plan_option_bars
from trading_assets.planning.chains import plan_parameters
from trading_assets.planning.estimate import Estimate, Pacing, Stage, estimate_cold, estimate_stage
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, Condition
from trading_assets.selection_rules import SelectionRules
from trading_assets.universe import UniverseEntry


def preview(
    archive: Archive,
    entries: Sequence[UniverseEntry],
    sessions: Sequence[date],
    rules: SelectionRules,
) -> Estimate:
    """The cost of bringing `sessions` (closed ones) and today's snapshot of the symbols into the lake.

    Stages whose requests follow from the lake alone are exact; what depends on answers not given yet (which expiries and
    strikes are listed) is assumed and marked.
    """
    pacing = _pacing(archive)
    total = Estimate(tuple(Stage(dataset.name) for dataset in (CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS)))
    contracts = contracts_plan(archive, entries, archive.calendar.current(archive.now)).plan
    held = archive.changes.unfinished([entry.symbol for entry in entries])
    entries = [entry for entry in entries if entry.symbol not in held]  # nothing but their contract details is asked for
    symbols = [entry.symbol for entry in entries]
    listed = archive.view(OPTION_CHAINS).stored_sessions(symbols, where="selected")
    answered = _without_chain(archive, symbols, rules)
    cold = [entry for entry in entries if entry.symbol not in listed and entry.symbol not in answered]
    for entry in cold:
        days = (archive.calendar.current(archive.now) - sessions[0]).days if sessions else 0
        sizes = archive.settings.equity_bar_sizes
        assumed = estimate_cold(entry.symbol, archive.now, days, rules, archive.calendar, bar_sizes=sizes, pacing=pacing)
        total += Estimate(tuple(stage for stage in assumed.stages if stage.dataset in (OPTION_CHAINS.name, OPTION_BARS.name)))
    warm = [symbol for symbol in symbols if symbol in listed]
    return total + Estimate(
        (
            estimate_stage(CONTRACTS.name, contracts.requests, archive.calendar, pacing=pacing),
            _chains(archive, [symbol for symbol in warm if symbol not in answered], pacing),
            estimate_stage(EQUITY_BARS.name, _equity(archive, entries, sessions), archive.calendar, pacing=pacing),
            _options(archive, warm, sessions, pacing),
        )
    )


def _pacing(archive: Archive) -> Pacing:
    settings = archive.settings
    return Pacing(settings.messages_per_second, settings.open_history_requests, settings.market_data_lines, settings.small_bar_requests_in_10_min)


def _without_chain(archive: Archive, symbols: Sequence[str], rules: SelectionRules) -> set[str]:
    """Symbols whose chain is not asked for now: the broker refused it, or nothing of this session's fits these very rules."""
    session = archive.calendar.current(archive.now)
    known = archive.coverage.conditions(OPTION_CHAINS.name, "", symbols, session, session).to_pylist()
    unselected = {row["symbol"] for row in known if row["condition"] == Condition.NOTHING_SELECTED and same_selection(row["reason"], rules)}
    return unselected | refusals(archive, OPTION_CHAINS, symbols, archive.now).keys()


def _chains(archive: Archive, symbols: Sequence[str], pacing: Pacing) -> Stage:
    """Symbols with an earlier snapshot: parameters and quotes of as many contracts as were selected last; new expiries are not known.

    Of a snapshot of this session that lacks values of quotes, just these quotes are asked for again.
    """
    session = archive.calendar.current(archive.now)
    known = archive.coverage.conditions(OPTION_CHAINS.name, "", symbols, session, session).to_pylist()
    done = {row["symbol"] for row in known if row["condition"] == Condition.COMPLETE}
    view = archive.view(OPTION_CHAINS)
    due = archive.examiner.due_listings(symbols)
    begun = sorted({row["symbol"] for row in known if may_be_resumed(row, due)} & set(symbols))
    resumed = view.table(sessions=[session], symbols=begun, where="selected").cast(OPTION_CHAINS.schema)
    begun = resumed["symbol"].unique().to_pylist()
    again = estimate_stage(OPTION_CHAINS.name, quotes_left(archive, resumed, session), archive.calendar, pacing=pacing)
    open_symbols = [symbol for symbol in symbols if symbol not in done and symbol not in begun]
    if not open_symbols:
        return again
    underlyings = known_underlyings(archive, archive.view(CONTRACTS), open_symbols)
    selected = view.as_of(open_symbols, session, columns=["symbol"], where="selected").num_rows
    stage = estimate_stage(OPTION_CHAINS.name, plan_parameters(underlyings.values(), session), archive.calendar, pacing=pacing)
    quotes = Stage(OPTION_CHAINS.name, {"quote": selected + len(underlyings)}, 2 * (selected + len(underlyings)), exact=False)
    return again + stage + quotes


def _equity(archive: Archive, entries: Sequence[UniverseEntry], sessions: Sequence[date]) -> list[Request]:
    if not sessions:
        return []
    symbols = [entry.symbol for entry in entries]
    resolved = known_underlyings(archive, archive.view(CONTRACTS), symbols)
    wanted = {entry.symbol: (resolved.get(entry.symbol, entry.instrument), sessions) for entry in entries}
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
    plan = plan_option_bars(wanted_options(archive.view(OPTION_CHAINS), rows), settled, archive.now, archive.calendar, OPTION_BAR_SIZE)
    return estimate_stage(OPTION_BARS.name, plan.requests, archive.calendar, lost=plan.lost, pacing=pacing)
