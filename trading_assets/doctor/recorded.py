"""Coverage worked out again: of bars from the journal's requests and the stored rows, of snapshots from the rows."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from trading_assets.backup.databases import reading
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import BarsRequest, from_record
from trading_assets.collecting.decode import bar_coverage
from trading_assets.collecting.decode.arrow_tables import from_rows, last_of_key
from trading_assets.collecting.decode.session_findings import SessionFinding, coverage_row
from trading_assets.doctor.files import readable_files
from trading_assets.repositories.files import read_file
from trading_assets.repositories.schemas import (
    CONTRACTS,
    COVERAGE,
    EQUITY_BARS,
    OPTION_BARS,
    OPTION_CHAINS,
    Condition,
    Dataset,
)
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.state.tables import requests

_ANSWERS = (OutcomeKind.COMPLETE.value, OutcomeKind.EMPTY.value)

_WHOLE_SESSIONS = {EQUITY_BARS.name: ("1 day",), OPTION_BARS.name: ("8 hours",)}
"""Bar sizes of which one bar is the whole of a session."""

_LACKING = "{} of {} selected contracts have no whole quote of this session."
_UNSELECTED = "No contract of the stored chain was selected."


def rebuilt_coverage(settings: Settings, dataset: Dataset, symbol: str) -> pa.Table:
    """The conditions of a symbol's sessions that follow from its rows and the journal (columns of `coverage`)."""
    of_symbol = pc.field("symbol") == symbol
    parts = [read_file(path, dataset, None, of_symbol) for path in readable_files(settings.data_dir, dataset)]
    rows = pa.concat_tables([dataset.schema.empty_table(), *(part.cast(dataset.schema) for part in parts)])
    if dataset is CONTRACTS:
        return from_rows(COVERAGE, [_of_contract(row) for row in rows.to_pylist()])
    if dataset is OPTION_CHAINS:
        return _of_chains(rows)
    known = [_of_single_bars(dataset, rows), _of_requests(settings, rows, symbol, dataset)]
    return last_of_key(pa.concat_tables(known), COVERAGE.key)


def _of_contract(row: dict[str, Any]) -> dict[str, Any]:
    finding = SessionFinding(Condition.COMPLETE, "")
    at, request = row["collected_at"], row["request_id"]
    return coverage_row(CONTRACTS.name, "", row["symbol"], 0, row["session"], finding, at, None, request)


def _of_chains(rows: pa.Table) -> pa.Table:
    """A chain is complete when each selected contract has its quote, or the answer that there is none."""
    found = []
    for session in sorted(set(rows["session"].to_pylist())):
        chain = rows.filter(pc.equal(rows["session"], pa.scalar(session, pa.date32())))
        selected = chain.filter(chain["selected"])
        settled = pc.is_in(selected["quote_outcome"], pa.array(_ANSWERS))
        lacking = selected.num_rows - (pc.sum(settled).as_py() or 0)
        finding = SessionFinding(Condition.COMPLETE, "")
        if not selected.num_rows:
            finding = SessionFinding(Condition.NOTHING_SELECTED, _UNSELECTED)
        elif lacking:
            finding = SessionFinding(Condition.PARTIAL, _LACKING.format(lacking, selected.num_rows))
        at, request = pc.max(chain["collected_at"]).as_py(), pc.max(chain["request_id"]).as_py()
        symbol = chain["symbol"][0].as_py()
        found.append(coverage_row(OPTION_CHAINS.name, "", symbol, 0, session, finding, at, None, request))
    return from_rows(COVERAGE, found)


def _of_single_bars(dataset: Dataset, rows: pa.Table) -> pa.Table:
    """Sessions with a bar that is the whole session: complete, whoever wrote it."""
    whole = rows.filter(pc.is_in(rows["bar_size"], pa.array(_WHOLE_SESSIONS[dataset.name])))
    of_options = dataset is OPTION_BARS
    names = ["symbol", "bar_size", "session", *(["con_id"] if of_options else [])]
    newest = whole.group_by(names).aggregate([("collected_at", "max"), ("request_id", "max")]).to_pylist()
    finding = SessionFinding(Condition.COMPLETE, "")
    return from_rows(
        COVERAGE,
        [
            coverage_row(
                dataset.name,
                row["bar_size"],
                row["symbol"],
                row["con_id"] if of_options else 0,
                row["session"],
                finding,
                row["collected_at_max"],
                None,
                row["request_id_max"],
            )
            for row in newest
        ],
    )


def _of_requests(settings: Settings, rows: pa.Table, symbol: str, dataset: Dataset) -> pa.Table:
    """What the answered requests of the symbol say, as at the time: also sessions without a trade."""
    results = [result for result in _answered(settings, symbol, dataset) if _is_stored(result, rows)]
    table = bar_coverage([result for result, _ in results], rows, calendar())
    settled = pa.array([str(condition) for condition in Condition if condition.settled])
    return table.filter(pc.is_in(table["condition"], settled))


Answered = tuple[Result, int]
"""A result without its payload, and how many bars the payload had."""


def _answered(settings: Settings, symbol: str, dataset: Dataset) -> list[Answered]:
    """The journal's answered requests for bars of a symbol; none where the journal is lost."""
    chosen = sa.select(requests).where(
        requests.c.state == "done",
        requests.c.applied_at.is_not(None),
        requests.c.symbol == symbol,
        requests.c.dataset == dataset.name,
        requests.c.outcome.in_(_ANSWERS),
    )
    try:
        with reading(str(settings.state_url)) as state:
            found = state.execute(chosen.order_by(requests.c.finished_at, requests.c.id)).all()
    except sa.exc.SQLAlchemyError:
        return []
    return [(_result(row, settings.clock()), row.rows or 0) for row in found]


def _result(row: sa.Row[Any], now: datetime) -> Result:
    outcome = Outcome(OutcomeKind(row.outcome), row.code, row.text or "")
    # the journal runs on the machine's clock, a replay on a pinned one
    at = min(datetime.fromtimestamp(row.finished_at, UTC), now)
    return Result(from_record(json.loads(row.record)), outcome, None, row.id, at, reused=True)


def _is_stored(answered: Answered, rows: pa.Table) -> bool:
    """Whether the lake has as many bars of the request's span as the answer had: fewer would look like sessions without
    a trade."""
    result, count = answered
    request = result.request
    if not isinstance(request, BarsRequest):
        return False
    key = (request.instrument.con_id, request.bar_size)
    return _stored(rows, key, request.first_session, request.session) >= count


def _stored(rows: pa.Table, key: tuple[int, str], first: date, last: date) -> int:
    mine = rows.filter(
        pc.and_(
            pc.and_(pc.equal(rows["con_id"], key[0]), pc.equal(rows["bar_size"], key[1])),
            pc.and_(
                pc.greater_equal(rows["session"], pa.scalar(first, pa.date32())),
                pc.less_equal(rows["session"], pa.scalar(last, pa.date32())),
            ),
        )
    )
    return int(mine.num_rows)
