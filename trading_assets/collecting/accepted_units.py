"""Carrying out what the user decides about answers that are held for review (`collecting.units`): the next run stores
the kept answers, converted, and later ones are converted as they come. Sends nothing to a broker.

First the decision and the answers go into the state database, in one transaction; the rows follow with the next run,
which finds both wherever this process is killed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.arguments import optional_day, some_symbols
from trading_assets.arguments.days import Day
from trading_assets.arguments.symbols import Symbols
from trading_assets.broker.outcomes import Fault
from trading_assets.broker.quarantine import Entry, Quarantine
from trading_assets.broker.unit_decisions import AS_IS, UnitDecision, UnitDecisions
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode.answer_units import (
    OPTION_VOLUME,
    PRICE,
    STOCK_VOLUME,
    held_setting,
    held_unit,
    hours_of,
)
from trading_assets.collecting.decode.unit_changes import Quantity
from trading_assets.collecting.quarantine import retry_now
from trading_assets.errors import InvalidRequest
from trading_assets.remedies import typed
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS

_WORDS = tuple(dict.fromkeys((*STOCK_VOLUME, *OPTION_VOLUME, *PRICE, AS_IS)))


def held_answers(archive: Archive, symbols: Sequence[str] | None = None) -> list[Entry]:
    """The answers that wait for a decision (None: of every symbol), by id."""
    entries = Quarantine(archive.settings.state_url).entries(symbols=symbols)
    return [entry for entry in entries if entry.held is not None]


def accept_units(
    archive: Archive,
    symbols: Symbols = None,
    first: Day | None = None,
    last: Day | None = None,
    *,
    unit: str | None = None,
) -> str:
    """Accept held answers as being in another unit; a sentence that says what follows.

    `symbols` None: of every symbol, also of those that are held later. `first` (default: when the first of them came)
    and `last` (default: open) bound the sessions after whose close the answers came. `unit` is what the answers are in
    (`shares`, `round_lots`, `contracts`, `cents`, `hundreds`, hours as `-3h`), `as_is` for the unit of the settings;
    None is what the comparison found. Raises `InvalidRequest` when no held answer is meant, or for a unit that is none
    of theirs.
    """
    names = some_symbols(symbols)
    begin, end = optional_day(first, "first"), optional_day(last, "last")
    if begin and end and end < begin:
        raise InvalidRequest(f"The range cannot end ({end}) before it begins ({begin}): exchange the two.")
    if unit is not None and not (isinstance(unit, str) and (unit in _WORDS or hours_of(unit))):
        raise InvalidRequest(f"unit is {unit!r}: give one of {', '.join(_WORDS)}, or hours such as -3h.")
    waiting = held_answers(archive, names)
    if not waiting:
        of = f" of {', '.join(names)}" if names else ""
        raise InvalidRequest(f"No answer{of} is held for review. See `trading-assets quarantine list`.")
    came = {entry.id: archive.calendar.last_closed(entry.quarantined_at) for entry in waiting}
    chosen = [entry for entry in waiting if _meant(entry, came[entry.id], begin, end)]
    if not chosen:
        days = sorted({*came.values(), *(day for entry in waiting for day in entry.sessions)})
        raise InvalidRequest(f"No held answer is of that range: they are of sessions {days[0]} to {days[-1]}.")
    here = archive.settings.stock_volume_unit
    groups: dict[tuple[str, str, str, str, str], list[Entry]] = defaultdict(list)
    for entry in chosen:
        fault = entry.held
        assert fault is not None
        setting = held_setting(fault.value, here)  # of the process that held it: this one may have another
        known_as = _unit(entry, fault, unit, setting)
        groups[entry.dataset, entry.symbol if names else "", fault.field, known_as, setting].append(entry)
    decisions = []
    for (dataset, symbol, quantity, known_as, setting), entries in groups.items():
        from_then = begin or min(min([came[entry.id], *entry.sessions]) for entry in entries)
        decisions.append((UnitDecision(dataset, symbol, quantity, known_as, setting, from_then, end), entries))
    UnitDecisions(archive.settings.state_url).decide(decisions, archive.now)
    _make_due(archive, chosen)
    return _said([decision for decision, _ in decisions], chosen, names, here)


def _meant(entry: Entry, came: date, first: date | None, last: date | None) -> bool:
    """Whether an answer lies in the range: it came in it, or sessions that wait for it do."""
    begins = min([came, *entry.sessions])
    return (first is None or first <= came) and (last is None or begins <= last)


def _unit(entry: Entry, fault: Fault, unit: str | None, setting: str) -> str:
    """The unit to be recorded for an answer that was held under a setting `stock_volume_unit`."""
    found = held_unit(fault.value)
    of_stocks = entry.dataset == EQUITY_BARS.name and fault.field == Quantity.VOLUME
    if unit is None and found == AS_IS:
        named = f" ({_named_setting(setting)})" if of_stocks else ""
        raise InvalidRequest(
            f"The held answer about {entry.symbol} is in the unit that the settings say{named}; what is stored is not."
            " Say so with --as-is, or name its unit."
        )
    chosen = unit or found
    volume = OPTION_VOLUME if entry.dataset == OPTION_BARS.name else STOCK_VOLUME
    allowed = {Quantity.VOLUME: volume, Quantity.PRICE: PRICE}.get(Quantity(fault.field), ())
    if fault.field == Quantity.TIME:
        # times outside the session's hours cannot stay as they are
        known, right = ("hours such as -3h",), hours_of(chosen) != 0
    else:
        known, right = (*allowed, AS_IS), chosen in (*allowed, AS_IS)
    if not right:
        raise InvalidRequest(
            f"unit is {chosen!r}; held of {entry.symbol} is the {fault.field} of {entry.dataset}: give one of"
            f" {', '.join(known)}."
        )
    return AS_IS if of_stocks and chosen == setting else chosen


def _make_due(archive: Archive, entries: Sequence[Entry]) -> None:
    """Let the sessions that wait for the answers be collected at once, also by the sensors."""
    for dataset, size in sorted({(entry.dataset, entry.bar_size) for entry in entries}):
        mine = [entry for entry in entries if (entry.dataset, entry.bar_size) == (dataset, size)]
        rows = archive.coverage.recorded(dataset, size, sorted({entry.symbol for entry in mine}))
        ids = pa.array([entry.request_id for entry in mine], pa.int64())
        retry_now(archive, rows.filter(pc.is_in(rows["request_id"], ids)))


def _named_setting(setting: str) -> str:
    return f"the setting stock_volume_unit is {setting}"


def _said(decisions: Sequence[UnitDecision], entries: Sequence[Entry], names: Sequence[str] | None, here: str) -> str:
    sentences = []
    for decision in decisions:
        until = f"to {decision.last}" if decision.last else "on, until you decide otherwise"
        who = decision.symbol or "every symbol"
        what = f"the {decision.quantity} of {decision.dataset} of {who}"
        of_stocks = decision.dataset == EQUITY_BARS.name and decision.quantity == Quantity.VOLUME
        by = f" ({_named_setting(decision.volume_setting)} where it was held)" if of_stocks else ""
        if decision.unit == AS_IS:
            unit = f", which is {decision.volume_setting}" if of_stocks else ""
            sentences.append(f"Accepted as it came: {what}{unit}{by}.")
        else:
            sentences.append(
                f"Accepted: from {decision.first} {until}, {what} is in {decision.unit} and is converted{by}."
            )
        if of_stocks and decision.volume_setting != here:
            sentences.append(
                f"Here the setting is {here}: give TRADING_ASSETS_STOCK_VOLUME_UNIT one value in every environment, or"
                " answers are judged by different units."
            )
    follow = " ".join(map(typed, sorted({entry.symbol for entry in entries}) if names else ()))
    stale = any(decision.unit == AS_IS and decision.dataset == EQUITY_BARS.name for decision in decisions)
    more = " Bars stored in another unit stay: `trading-assets backfill --from DATE --refresh` asks for them again."
    count = len(entries)
    return (
        f"{' '.join(sentences)} {count} kept answer{'s are' if count > 1 else ' is'} stored by the next run, without"
        f" asking the broker again: `{f'trading-assets update {follow}'.strip()}`.{more if stale else ''}"
    )
