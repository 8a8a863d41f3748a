"""The command `lineage`: where a row comes from, what a request or a run brought, what made a partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_assets.arguments import COLLECTED, LIMIT
from trading_assets.cli.output import as_json, console, print_named, say, say_as_it_is, table_of
from trading_assets.cli.values import BarSize, Json, Session, a_stored_symbol
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading_assets.lineage import LineageQueryEngine, LineageTracker
    from trading_assets.lineage.records import RowLineage
    from trading_assets.lineage.views import PartitionLineage, RequestLineage, RunLineage

VIEWS = ("summary", "graph", "request", "run", "partition", "upstream", "downstream", "outdated")

_ROW_COLUMNS = ["what", "bar_size", "standing", "origin", "request", "sent", "outcome", "bytes", "run", "code"]
_GROUP_COLUMNS = ["dataset", "standing", "symbol", "bar_size", "rows", "sessions", "first", "last"]
_REQUEST_COLUMNS = ["kind", "outcome", "count", "first_sent", "last_sent", "answer_bytes", "ids"]
_COVERAGE_COLUMNS = ["symbol", "con_id", "bar_size", "condition", "reason", "request", "sent", "outcome", "run"]
IDS_SHOWN = 6


def lineage(
    what: Annotated[
        str,
        typer.Argument(
            help=(
                "A dataset, whose rows of --symbol and --session are traced; or request ID, run ID, partition DATASET,"
                " upstream DATASET, downstream DATASET, outdated, graph (Mermaid), summary."
            )
        ),
    ] = "summary",
    name: Annotated[str | None, typer.Argument(help="The id or the dataset.", show_default=False)] = None,
    symbol: Annotated[str | None, typer.Option(help="Symbol of the underlying.", callback=a_stored_symbol)] = None,
    session: Session = None,
    contract: Annotated[str | None, typer.Option(help="Contract id or local symbol of an option.")] = None,
    bar_size: BarSize = None,
    limit: Annotated[int, typer.Option(**LIMIT.option, help="Rows printed; --json prints all.")] = 40,
    as_document: Json = False,
) -> int:
    """Where data comes from: row, broker request, run, partition and code version, and back. Reads only."""
    from trading_assets.lineage import LineageQueryEngine, LineageTracker
    from trading_assets.repositories.schemas import DATASETS

    if what not in DATASETS and what not in VIEWS:
        raise typer.BadParameter(f"{what!r} is neither a dataset nor a view; choose {', '.join((*DATASETS, *VIEWS))}.")
    day = session
    with LineageTracker(settings=Settings()) as tracker:
        engine = LineageQueryEngine(tracker)
        if what in DATASETS:
            if symbol is None and day is None and contract is None:
                raise typer.BadParameter("say which rows: --symbol, --session, --contract.")
            found = engine.rows(what, symbol=symbol, session=day, contract=contract, bar_size=bar_size)
            return _rows(engine, what, found, symbol, day, contract, limit, as_document)
        if what in ("summary", "graph", "outdated"):
            return _whole(tracker, what, limit, as_document)
        if name is None:
            raise typer.BadParameter(f"say which: trading-assets lineage {what} {'ID' if what in _IDS else 'DATASET'}.")
        if what == "request":
            if not name.isdigit() or int(name) < 1:
                raise typer.BadParameter(f"{name!r} is no request id: give a number above 0, as rows have it.")
            return _request(engine.request(int(name)), as_document)
        if what == "run":
            return _run(engine.run(name), as_document)
        if what == "partition":
            if day is None:
                raise typer.BadParameter("say of which session: --session YYYY-MM-DD.")
            return _partition(engine.partition(name, day, symbol=symbol), as_document)
        follow = engine.upstream if what == "upstream" else engine.downstream
        records = [one.as_dict() for one in follow(name, day, symbol=symbol)]
        _table(records, ["asset", "partition", "symbols", "materialized"], limit, as_document)
    return 0


_IDS = ("request", "run")


def _rows(
    engine: LineageQueryEngine,
    dataset: str,
    found: list[RowLineage],
    symbol: str | None,
    day: Any,
    contract: str | None,
    limit: int,
    as_document: bool,
) -> int:
    known = [] if found or day is None else _coverage(engine, dataset, symbol, day, contract)
    if as_document:
        as_json({"dataset": dataset, "rows": found, "coverage": known})
    elif len(found) == 1:
        _one(found[0])
    elif found:
        console.print(table_of([_line(one) for one in found[:limit]], _ROW_COLUMNS))
        _more(len(found), limit)
        _say(dict.fromkeys(note for one in found for note in one.notes), limit)
    else:
        console.print("The lake has no such row." + ("" if known else " Nothing is recorded of it either."))
        if known:
            console.print("Its coverage says:")
            console.print(table_of([_condition(one) for one in known[:limit]], _COVERAGE_COLUMNS))
            _more(len(known), limit)
    return 0


def _coverage(
    engine: LineageQueryEngine, dataset: str, symbol: str | None, day: Any, contract: str | None
) -> list[RowLineage]:
    """What the lake has recorded of rows that are not there."""
    if dataset not in COLLECTED:
        return []
    con_id = contract if contract is not None and contract.isdigit() else None
    return engine.rows("coverage", symbol=symbol, session=day, contract=con_id, about=dataset)


def _condition(one: RowLineage) -> dict[str, Any]:
    names = ("symbol", "con_id", "bar_size", "condition", "reason")
    return {**{name: one.row[name] for name in names}, **_line(one)}


def _line(one: RowLineage) -> dict[str, Any]:
    request, row = one.request, one.row
    return {
        "what": " ".join(str(row[key]) for key in ("symbol", "local_symbol", "session") if row.get(key)),
        "bar_size": row.get("bar_size", ""),
        "standing": one.standing,
        "origin": one.origin.value,
        "request": f"{one.request_id}" if one.request_id else "none",
        "sent": request.sent_at if request is not None else None,
        "outcome": request.outcome if request is not None else "",
        "bytes": request.answer_bytes if request is not None else None,
        "run": request.run_id[:8] if request is not None else "",
        "code": one.recorded_by.code_version if one.recorded_by is not None else "",
    }


def _one(one: RowLineage) -> None:
    """One row in full: its values, account numbers masked, then each step back."""
    from trading_assets.broker.positions import masked

    values = {key: value for key, value in one.row.items() if value is not None and value != ""}
    if "account" in values:
        values["account"] = masked(values["account"])
    console.print(
        table_of([{"column": key, "value": str(value)} for key, value in values.items()], ["column", "value"])
    )
    lines = {"row": f"{one.dataset}, {one.standing}, {one.origin.value}. {one.explanation}"}
    if one.request is not None:
        lines |= _request_lines(one.request)
    if one.listing is not None:
        lines["listed by"] = f"request {one.listing.id}, {one.listing.key}"
    if one.replaced_by is not None:
        lines["replaced by"] = f"request {one.replaced_by.id}, {one.replaced_by.key}"
    if one.requested_by is not None:
        lines["requested in"] = _run_line(one.requested_by)
    if one.recorded_by is not None:
        event = one.recorded_by
        lines["partition"] = (
            f"{' '.join(filter(None, (event.asset, event.partition)))}, recorded {event.at:%Y-%m-%d %H:%M:%S} UTC, code"
            f" version {event.code_version or 'not recorded'}"
        )
    if one.partition_run is not None:
        lines["recorded in"] = _run_line(one.partition_run)
    _print_lines(lines)
    _say(one.notes, len(one.notes))


def _request_lines(request: Any) -> dict[str, str]:
    sent = f"{request.sent_at:%Y-%m-%d %H:%M:%S.%f} UTC" if request.sent_at is not None else "never"
    size = "size not recorded" if request.answer_bytes is None else f"{request.answer_bytes:,} bytes"
    code = f", code {request.code}" if request.code is not None else ""
    return {
        "request": f"{request.id}, {request.kind}",
        "key": request.key,
        "sent": f"{sent}, attempt(s) {request.attempts}",
        "outcome": f"{request.outcome or request.state}{code} {request.text}".strip(),
        "raw answer": f"{request.rows or 0:,} rows, {size}",
    }


def _run_line(run: Any) -> str:
    if not run.found:
        return str(run.sentence)
    began = f", began {run.started_at:%Y-%m-%d %H:%M:%S} UTC" if run.started_at is not None else ""
    return f"run {run.run_id} of {run.job}, {run.status}{began}"


def _request(found: RequestLineage, as_document: bool) -> int:
    if as_document:
        as_json(found)
    elif found.request is not None:
        lines = _request_lines(found.request)
        if found.run is not None:
            lines["requested in"] = _run_line(found.run)
        if found.quarantine is not None:
            lines["quarantine"] = (
                f"entry {found.quarantine['id']}, {found.quarantine['state']}: {found.quarantine['reason']}"
            )
        _print_lines(lines)
        for title, groups in (("Rows that name it:", found.groups), ("Daily bars it has a part in:", found.aggregated)):
            if groups:
                console.print(title)
                console.print(table_of([group.as_dict() for group in groups], _GROUP_COLUMNS))
    if not as_document:
        _say(found.notes, len(found.notes))
    return 0 if found.request is not None else 1


def _run(found: RunLineage, as_document: bool) -> int:
    if as_document:
        as_json(found)
        return 0
    _print_lines({"run": _run_line(found.run)})
    _groups(found.requests)
    if found.rows:
        console.print("Rows that these brought:")
        console.print(table_of([group.as_dict() for group in found.rows], _GROUP_COLUMNS))
    for asset, partitions in found.partitions.items():
        span = f": {partitions[0]} to {partitions[-1]}" if partitions else ""
        console.print(f"recorded {asset}, {len(partitions)} partition(s){span}", markup=False)
    _say(found.notes, len(found.notes))
    return 0


def _partition(found: PartitionLineage, as_document: bool) -> int:
    if as_document:
        as_json(found)
        return 0
    origins = ", ".join(f"{count:,} {origin}" for origin, count in found.origins.items())
    _print_lines({f"{found.asset} {found.partition}": f"{found.rows:,} row(s) {f'({origins})' if origins else ''}"})
    for event in found.materializations:
        said = (
            f"recorded {event.at:%Y-%m-%d %H:%M:%S} UTC by run {event.run_id}, code version {event.code_version or '?'}"
        )
        console.print(said, markup=False)
    _groups(found.requests)
    for run in found.runs:
        say(_run_line(run))
    _say(found.notes, len(found.notes))
    return 0


def _groups(groups: Sequence[Any]) -> None:
    if groups:
        records = [{**group.as_dict(), "ids": _ids(group.ids)} for group in groups]
        console.print(table_of(records, _REQUEST_COLUMNS))


def _ids(ids: Sequence[int]) -> str:
    more = f" and {len(ids) - IDS_SHOWN:,} more" if len(ids) > IDS_SHOWN else ""
    return ", ".join(map(str, ids[:IDS_SHOWN])) + more


def _whole(tracker: LineageTracker, what: str, limit: int, as_document: bool) -> int:
    from trading_assets.lineage import LineageQueryEngine, LineageVisualizer

    if what == "outdated":
        records = [{**one.as_dict(), "sentence": one.sentence} for one in LineageQueryEngine(tracker).out_of_date()]
        _table(records, ["asset", "partition", "reason", "recorded", "current", "upstream"], limit, as_document)
        if not as_document:
            _say(tracker.missing or ([] if records else ["Nothing is out of date."]), 2)
        return 0
    visualizer = LineageVisualizer(tracker)
    if what == "graph":
        text = visualizer.mermaid()
        as_json({"mermaid": text}) if as_document else console.print(text, markup=False, soft_wrap=True, end="")
        return 0
    report = visualizer.generate_summary_report()
    as_json(report) if as_document else say_as_it_is(str(report))
    return 0


def _table(records: Sequence[Mapping[str, Any]], columns: list[str], limit: int, as_document: bool) -> None:
    if as_document:
        as_json(list(records))
    elif records:
        shown = [{key: _flat(value) for key, value in record.items()} for record in records[:limit]]
        console.print(table_of(shown, columns))
        _more(len(records), limit)


def _flat(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _more(count: int, limit: int) -> None:
    if count > limit:
        console.print(f"... {count - limit:,} more rows (--limit, --json).")


def _print_lines(lines: Mapping[str, str]) -> None:
    print_named(lines, max(map(len, lines)) + 1)


def _say(notes: Any, limit: int) -> None:
    for note in list(notes)[:limit]:
        say(f"note  {note}")
