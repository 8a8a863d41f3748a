"""Whether the broker's bars are in the units of the settings: new bars are compared with the stored ones before they
are stored, and held for review where they differ by a unit.

Nothing of such an answer is stored, it is kept in the quarantine, and the other symbols and bar sizes go on. What the
user decides is carried out by `collecting.accepted_units`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import HELD, Fault, Result
from trading_assets.broker.requests import BarsRequest
from trading_assets.broker.unit_decisions import AS_IS
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import bar_rows
from trading_assets.collecting.decode.answer_units import held_setting, held_unit, held_value, unit_found
from trading_assets.collecting.decode.unit_changes import Quantity, Series, UnitChange, compared
from trading_assets.collecting.decode.unit_history import against_history, by_session, of_new_series
from trading_assets.collecting.price_level import is_restated
from trading_assets.collecting.report import CollectionReport, Problem, ProblemKind
from trading_assets.remedies import typed
from trading_assets.repositories.schemas import EQUITY_BARS, Dataset

REVIEW = "held_for_review"
"""The outcome that reports give for bars that wait for the user's decision."""

_DAYS_BESIDE = 60
"""Calendar days on either side of new bars from which stored sessions are compared with them."""

_SPLITS = {"cents": "1:100", "hundreds": "100:1"}
"""The split that looks like prices in a unit."""

_NEEDED = ["symbol", "con_id", "bar_size", "start", "session", "open", "high", "low", "close", "volume"]


def hold_units(archive: Archive, dataset: Dataset, report: CollectionReport, results: Sequence[Result]) -> list[Result]:
    """The results, those in another unit held: without payload, to be kept by the quarantine; each is reported.

    Whatever one answer of a series (symbol or contract, bar size) shows is true of its other answers here, those that
    were held before among them; `results` may be given again with further ones. Answers that the user has accepted as
    they are are not judged again, and of a stock neither are the others that came with them: its history.
    """
    accepted = {_accepted_with(result, dataset) for result in results if archive.examiner.decided(result).as_is}
    judged = [result for result in results if _accepted_with(result, dataset) not in accepted]
    unit = archive.settings.stock_volume_unit
    rows = bar_rows(judged, dataset, archive.calendar, stock_volume_unit=unit)
    faults: dict[Series, Fault | None] = {
        _series(result, dataset): _held(result) for result in judged if archive.examiner.is_held(result)
    }
    for change in _changes(archive, dataset, rows, results):
        faults[change.symbol, change.con_id, change.bar_size] = _fault(change, dataset, unit)
    held = [
        result
        for result in results
        if not archive.examiner.is_held(result)
        and ((_series(result, dataset) in faults and _accepted_with(result, dataset) not in accepted) or _held(result))
    ]
    if not held:
        return list(results)
    stored = archive.view(dataset).table(
        symbols=sorted({result.request.symbol for result in held}), columns=["symbol", "con_id", "bar_size", "session"]
    )
    marked = {r.request_id: _marked(archive, dataset, r, faults.get(_series(r, dataset)), stored) for r in held}
    _report(report, dataset, list(marked.values()))
    return [marked.get(result.request_id, result) for result in results]


def without_stored(coverage: pa.Table, results: Iterable[Result]) -> pa.Table:
    """The coverage of results without the sessions of held answers that are stored already: nothing has become of
    them."""
    for result in results:
        if result.quarantined is not None and _held(result) is not None:
            mine = pc.equal(coverage["request_id"], result.request_id)
            lacking = pc.is_in(coverage["session"], pa.array(sorted(result.quarantined.sessions), pa.date32()))
            coverage = coverage.filter(pc.or_(pc.invert(mine), lacking))
    return coverage


def _changes(archive: Archive, dataset: Dataset, rows: pa.Table, results: Sequence[Result]) -> list[UnitChange]:
    if not rows.num_rows:
        return []
    symbols, sessions = rows["symbol"].unique().to_pylist(), rows["session"].unique().to_pylist()
    options = dataset.name != EQUITY_BARS.name
    stored = archive.view(dataset).table(sessions=sessions, symbols=symbols, columns=_NEEDED)
    found = compared(rows, stored, options=options)
    if options:
        return found.changes
    changes = [*found.changes, *_against_the_rest(archive, rows, found.decided, _stocks(results))]
    return [c for c in changes if c.quantity is not Quantity.PRICE or not is_restated(archive, c, rows)]


def _against_the_rest(
    archive: Archive, rows: pa.Table, decided: Collection[Series], stocks: Collection[str]
) -> list[UnitChange]:
    """The changes of series without stored bars that decide, from the sessions beside, other bar sizes and trades."""
    found = rows.group_by(["symbol", "bar_size"]).aggregate([]).sort_by([("symbol", "ascending")])
    series = zip(found["symbol"].to_pylist(), found["bar_size"].to_pylist(), strict=True)
    open_series = [(symbol, size) for symbol, size in series if (symbol, 0, size) not in decided]
    if not open_series:
        return []
    known = set(archive.view(EQUITY_BARS).stored_sessions(sorted({symbol for symbol, _ in open_series})))
    beside = _beside(archive, rows, sorted(known)) if known else None
    changes = []
    for symbol, size in open_series:
        mine = rows.filter(pc.and_(pc.equal(rows["symbol"], symbol), pc.equal(rows["bar_size"], size)))
        change = None
        if beside is not None and symbol in known:
            change = against_history(symbol, size, by_session(mine), beside[beside["symbol"] == symbol])
        elif symbol in stocks:
            change = of_new_series(mine, archive.settings.stock_volume_unit)
        changes += [change] if change is not None else []
    return changes


def _beside(archive: Archive, rows: pa.Table, symbols: Sequence[str]) -> pd.DataFrame:
    """Stored sessions of the symbols near those of new rows: symbol, bar_size, session, close and volume."""
    sql = """select symbol, bar_size, session, arg_max(close, start) as close, sum(volume) as volume
             from equity_bars where symbol in (select unnest($symbols::varchar[]))
               and session between $first - $days::integer and $last + $days::integer
             group by symbol, bar_size, session"""
    bounds = pc.min_max(rows["session"]).as_py()
    values = {"symbols": list(symbols), "first": bounds["min"], "last": bounds["max"], "days": _DAYS_BESIDE}
    return archive.lake.query(sql, values).to_pandas()


def _stocks(results: Iterable[Result]) -> set[str]:
    return {result.request.symbol for result in results if result.request.instrument.sec_type == "STK"}


def _accepted_with(result: Result, dataset: Dataset) -> tuple[str, int]:
    """What an acceptance of one answer as it came is true of: all bars of a stock, the bars of an option."""
    return result.request.symbol, _series(result, dataset)[1]


def _fault(change: UnitChange, dataset: Dataset, setting: str) -> Fault:
    unit = unit_found(change.quantity, change.factor, dataset.name, setting)
    of_stocks = dataset.name == EQUITY_BARS.name and change.quantity is Quantity.VOLUME
    value = held_value(unit, setting if of_stocks else None)
    return Fault(str(change.quantity), HELD, value, f"({change.evidence})", change.last)


def _series(result: Result, dataset: Dataset) -> Series:
    request = result.request
    size = request.bar_size if isinstance(request, BarsRequest) else ""
    return request.symbol, request.instrument.con_id if dataset.name != EQUITY_BARS.name else 0, size


def _held(result: Result) -> Fault | None:
    return result.quarantined.held if result.quarantined is not None else None


def _marked(archive: Archive, dataset: Dataset, result: Result, fault: Fault | None, stored: pa.Table) -> Result:
    """The result as one that is held, with the sessions that the lake lacks because of it. `fault` is that of its
    series, None where the answer alone has one."""
    request, fault = result.request, fault or _held(result)
    assert isinstance(request, BarsRequest)
    assert fault is not None
    mine = pc.and_(pc.equal(stored["symbol"], request.symbol), pc.equal(stored["bar_size"], request.bar_size))
    if dataset.name != EQUITY_BARS.name:
        mine = pc.and_(mine, pc.equal(stored["con_id"], request.instrument.con_id))
    have = set(stored.filter(mine)["session"].to_pylist())
    last = min(request.session, archive.calendar.last_closed(result.finished_at))
    asked = archive.calendar.sessions(request.first_session, last) if request.first_session <= last else []
    return archive.examiner.hold(result, fault, frozenset(asked) - have, _sentence(request, fault, dataset))


def _sentence(request: BarsRequest, fault: Fault, dataset: Dataset) -> str:
    """What was found, and what to do."""
    unit, setting = held_unit(fault.value), held_setting(fault.value, "")
    split = _SPLITS.get(unit, "")
    who = request.instrument.local_symbol if dataset.name != EQUITY_BARS.name else request.symbol
    evidence = fault.reason.removeprefix("(").removesuffix(")")
    named = {
        Quantity.TIME: f"its times are {fault.value}",
        Quantity.PRICE: f"its prices seem to be in {unit}, or a split of {split} left its volumes as they were",
        Quantity.VOLUME: f"its volumes seem to be in {unit}, and the setting stock_volume_unit is {setting}",
    }[Quantity(fault.field)]
    if dataset.name != EQUITY_BARS.name and fault.field == Quantity.VOLUME:
        named = f"its volumes seem to be in {unit}, not in contracts"
    if unit == AS_IS:
        by = f" (the setting stock_volume_unit is {setting})" if setting else ""
        named = f"its {fault.field} is in the expected unit{by}, so that the stored bars are in another"
    accept = f"`trading-assets quarantine accept {typed(request.symbol)}`"
    otherwise = "" if fault.field == Quantity.TIME else "; with --as-is it is stored as it came"
    if fault.field == Quantity.PRICE:
        otherwise = "; with --as-is it is taken for a split, stored as it came, and the stored history is read anew"
    do = (
        f"{accept} converts it and what comes from now on{otherwise}"
        if unit != AS_IS
        else f"{accept} --as-is stores it as it came, and `trading-assets backfill {typed(request.symbol)} --from DATE"
        " --refresh` asks for the stored bars again"
    )
    return (
        f"The answer about {request.bar_size} bars of {who} is held for review: {evidence}; {named}. Nothing of it is"
        f" stored until you decide: {do}."
    )


def _report(report: CollectionReport, dataset: Dataset, held: Sequence[Result]) -> None:
    """One problem a symbol and bar size, however many contracts or answers."""
    by_series: dict[tuple[str, str], list[Result]] = {}
    for result in held:
        symbol, _, size = _series(result, dataset)
        by_series.setdefault((symbol, size), []).append(result)
    for (symbol, size), results in sorted(by_series.items()):
        more = f" {len(results) - 1} more answer(s) are held." if len(results) > 1 else ""
        assert results[0].quarantined is not None
        sentence = f"{results[0].quarantined.reason}{more}"
        report.problems.append(Problem(ProblemKind.FAILED, symbol, f"bars {size}", sentence, outcome=REVIEW))
