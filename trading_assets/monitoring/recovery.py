"""What was lost beside the data, and how it is put back: the state database with the universe, or `lake.json`.

The first opening detects a new state database beside an older lake (`state.pin`). Here is the sentence that the user
sees then, and what the commands `universe restore` and `rebuild-identity` do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import sqlalchemy as sa

from trading_assets.arguments import some_symbols
from trading_assets.broker.contact import broker_contact
from trading_assets.errors import DamagedIdentity, InvalidRequest, LostIdentity, StateMismatch
from trading_assets.remedies import typed
from trading_assets.repositories.catalog import query
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.identity import LakeFile, LakeIdentity
from trading_assets.repositories.layout import migrate
from trading_assets.repositories.provenance import largest_request, requests_in_lake
from trading_assets.repositories.schemas import DATASETS, Period
from trading_assets.settings import Settings
from trading_assets.state import connect_state, read_transaction, reading_engine, write_transaction
from trading_assets.state.pin import lake, largest_id, pin_lake, pinned, place
from trading_assets.state.tables import requests
from trading_assets.universe import Universe, UniverseEntry

_IN_CHUNK = 500
"""Ids in one IN list: under SQLite's oldest limit of 999 variables."""

_NAMED = 10
"""Symbols that a sentence names."""


@dataclass(frozen=True, slots=True)
class Collected:
    """A symbol that the lake has contract details of: how the broker was asked for it, and the last session with
    details (exchange date)."""

    symbol: str
    sec_type: str
    exchange: str
    primary_exchange: str
    last: date


def lost_state(settings: Settings) -> str:
    """A sentence while `lake.json` or an earlier state database is lost and nobody has acted; empty otherwise. Raises
    `UnreadableFile`."""
    engine, identity = reading_engine(settings.state_url), LakeIdentity(settings.data_dir)
    row = pinned(engine)
    if row is None and identity.held() is None:
        return LostIdentity(identity.path).as_stored if identity.has_data() else ""
    with read_transaction(engine) as connection:
        known = largest_id(connection)
    newest = query(settings.data_dir, "select max(request_id) as newest from coverage")["newest"][0].as_py() or 0
    if newest > known > 0:
        what = f"is older than the lake (its last request is {known}, the lake has rows of request {newest})"
    elif (row is None and newest > known) or (row is not None and row.restore_due):
        what = (
            "is missing or new, and the lake was filled with an earlier one: the journal, the universe, alerts and"
            " reviews of that one are gone"
        )
    else:
        return ""
    kept = set(Universe(settings.state_url).active())
    missing = [found.symbol for found in _recent(collected_symbols(settings), settings) if found.symbol not in kept]
    symbols = f"{', '.join(missing[:_NAMED])}{f' and {len(missing) - _NAMED} more' if len(missing) > _NAMED else ''}"
    offer = (
        f"trading-assets universe restore keeps {symbols} again"
        if missing
        else "trading-assets universe restore ends this message"
    )
    return f"The state database {place(engine)} {what}. Put it back from a backup, or go on with this one: {offer}."


def collected_symbols(settings: Settings) -> list[Collected]:
    """Every symbol with contract details in the lake, by name, without those of closed series (`META@8314`). Raises
    `UnreadableFile`."""
    sql = """select symbol, arg_max(sec_type, session) as sec_type, arg_max(exchange, session) as exchange,
                    arg_max(primary_exchange, session) as primary_exchange, max(session) as last
             from contracts where not contains(symbol, '@') group by symbol order by symbol"""
    return [Collected(**row) for row in query(settings.data_dir, sql).to_pylist()]


def _recent(found: Sequence[Collected], settings: Settings) -> list[Collected]:
    """Those that were collected to the end: details are requested again after `contract_verify_days`, not at every
    session."""
    since = max((one.last for one in found), default=date.min + timedelta(days=1))
    return [one for one in found if (since - one.last).days <= settings.contract_verify_days]


def restore_universe(settings: Settings, symbols: Sequence[str] | None = None) -> list[UniverseEntry]:
    """Make symbols of the lake active again, as they were asked for; by default those that were collected to the end.
    Returns the entries.

    New request ids go on above those of the lake, and `lost_state` has nothing to say afterwards. A symbol that the
    universe knows keeps how it is asked for. With an empty list no symbol is added. Raises `ValueError` for a symbol
    that the lake does not have.
    """
    universe, found = Universe(settings.state_url), {one.symbol: one for one in collected_symbols(settings)}
    names = (
        [one.symbol for one in _recent(list(found.values()), settings)]
        if symbols is None
        else some_symbols(symbols or None) or []
    )
    unknown = sorted(set(names) - found.keys())
    if unknown:
        raise InvalidRequest(
            f"The lake has no contract details of {', '.join(unknown)}: trading-assets setup"
            f" {' '.join(map(typed, unknown))} begins to keep it."
        )
    known = {entry.symbol for entry in universe.entries(active_only=False)}
    now = settings.clock()
    restored: list[UniverseEntry] = []
    for name in names:
        one = found[name]
        if name in known:
            restored += universe.add([name], now=now)
        else:  # the listing exchange too: it distinguishes the company from another one with the symbol
            listing = one.primary_exchange if one.sec_type == "STK" else None
            restored += universe.add(
                [name], sec_type=one.sec_type, exchange=one.exchange, primary_exchange=listing, now=now
            )
    above = largest_request(settings.data_dir)
    with write_transaction(connect_state(settings.state_url)) as connection:
        connection.execute(lake.update().values(restore_due=False, ids_above=max(above, largest_id(connection))))
    return restored


def rebuild_identity(settings: Settings) -> LakeFile:
    """Write a lost or damaged `lake.json` again from what the state database knows, when the rows of the lake are of
    its requests.

    Returns what the file says then; a whole file stays as it is. Raises `StateMismatch` when they do not agree,
    `UnreadableFile`.
    """
    identity, engine = LakeIdentity(settings.data_dir), connect_state(str(settings.state_url))
    with identity.changing():
        try:
            found = identity.held()
        except DamagedIdentity:
            found = None
        if found is None or not found.identity:
            known = _known(engine, settings.data_dir)
            _compare(engine, settings.data_dir)
            identity.rewrite(known)
    migrate(settings.data_dir)
    pin_lake(engine, settings.data_dir)
    held = identity.held()
    assert held is not None
    return held


def _known(engine: sa.Engine, data_dir: Path) -> LakeFile:
    """The lake as the state database knows it; the broker of one that was never pinned is that of its only contact."""
    row = pinned(engine)
    with read_transaction(engine) as connection:
        contacts = set(
            connection.execute(sa.select(broker_contact.c.identity).where(broker_contact.c.identity != "")).scalars()
        )
    identity = row.identity if row is not None and row.identity else contacts.pop() if len(contacts) == 1 else ""
    if not identity:
        raise StateMismatch(
            f"The state database {place(engine)} does not know whose data the lake in {data_dir} holds. Put lake.json"
            " back from a backup, or collect into another TRADING_ASSETS_DATA_DIR."
        )
    periods = {**_periods(data_dir), **(json.loads(row.periods) if row is not None else {})}
    # Version 1: whether the folders are those of that layout is looked at next.
    return LakeFile(row.lake_id if row is not None else "", identity, periods, version=1)


def _periods(data_dir: Path) -> dict[str, str]:
    """The period of each dataset, from the names of its files."""
    lengths = {len("2015"): Period.YEAR, len("2015-12"): Period.MONTH, len("2015-12-24"): Period.DAY}
    found = {name: {len(path.stem) for path in dataset_files(data_dir, dataset)} for name, dataset in DATASETS.items()}
    return {
        name: lengths[size].value
        for name, (size,) in ((n, tuple(sizes)) for n, sizes in found.items() if len(sizes) == 1)
        if size in lengths
    }


def _compare(engine: sa.Engine, data_dir: Path) -> None:
    """See that the requests that the rows name are those of the journal. Raises `StateMismatch`."""
    rows = requests_in_lake(data_dir)
    wanted = dict(zip(rows["request_id"].to_pylist(), rows["symbol"].to_pylist(), strict=True))
    row, ids = pinned(engine), sorted(wanted)
    lost = row.ids_above if row is not None else 0
    found: dict[int, str] = {}
    with read_transaction(engine) as connection:
        for begin in range(0, len(ids), _IN_CHUNK):
            chosen = sa.select(requests.c.id, requests.c.symbol).where(
                requests.c.id.in_(ids[begin : begin + _IN_CHUNK])
            )
            found |= {request.id: request.symbol for request in connection.execute(chosen)}
    for number in ids:
        if found.get(number) != wanted[number] and (number in found or number > lost):
            said = f"is one for {found[number]}" if number in found else "is not there"
            raise StateMismatch(
                f"The lake in {data_dir} has rows of {wanted[number]} from request {number}, and in the state database"
                f" {place(engine)} that request {said}: they do not belong together. Put lake.json back from a backup,"
                " or the state database of this lake."
            )
