"""What is streamed: the contracts behind what is wanted, from what the lake knows of them. Nothing is asked for.

An underlying has a stream of quotes and one of five-second bars, an option one of quotes. The order of subjects is that
in which they are given lines, and the reverse of that in which they lose them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from trading_assets.arguments import one_symbol
from trading_assets.errors import InvalidRequest, NotALake, TradingAssetsError
from trading_assets.instrument import Instrument
from trading_assets.planning.instruments import option_instruments, underlying_instrument
from trading_assets.repositories import ContractRepository, OptionChainSnapshotRepository, query
from trading_assets.sessions import calendar, session_date
from trading_assets.streaming.health import Subscription
from trading_assets.streaming.nearest import Nearest, rank

logger = logging.getLogger("trading_assets.streaming")

QUOTE, BAR = "quote", "bar"

INDEX = "IND"
"""The broker's type of an index."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What one stream is about. `rank`: smaller is more useful. `refusal` is the sentence that says why it cannot be
    streamed; then the instrument may be words only."""

    kind: str
    symbol: str
    instrument: Instrument
    rank: tuple[float, ...] = (0.0,)
    refusal: str = ""
    label: str = ""
    """What it is called where the instrument does not say it."""
    unknown: bool = False
    """Whether it is refused because the lake could not be read."""

    @property
    def key(self) -> str:
        """One stream a contract and kind."""
        return f"{self.kind}:{self.instrument.key}"

    @property
    def is_underlying(self) -> bool:
        """Whether it is about an underlying."""
        return self.instrument.sec_type != "OPT"

    @property
    def contract(self) -> str:
        """The contract in words."""
        one = self.instrument
        if self.is_underlying:
            return self.label or self.symbol
        return (
            f"{self.symbol} {one.last_trade[:4]}-{one.last_trade[4:6]}-{one.last_trade[6:]} {one.strike:g} {one.right}"
        )


def subjects_of(
    wanted: Sequence[Subscription], data_dir: Path, now: datetime, nearest: Nearest | None = None
) -> list[Subject]:
    """The subjects of all subscriptions, the most useful first. What cannot be streamed is in it with its refusal.
    `nearest` knows the prices of underlyings that have moved since their chains were collected."""
    nearest = nearest or Nearest()
    contracts = ContractRepository(data_dir=data_dir)
    held = _held(data_dir) if any(one.options > 0 for one in wanted) else frozenset()
    found: dict[str, Subject] = {}
    for one in wanted:
        try:
            subjects = _of_subscription(one, contracts, held, data_dir, now, nearest)
        except (TradingAssetsError, OSError) as error:
            text = f"{one.symbol}: what the lake knows of its contracts could not be read. {error}"
            subjects = [_refused(one.symbol, text, unknown=True)]
        for subject in subjects:
            known = found.get(subject.key)
            if known is None or subject.rank < known.rank:
                found[subject.key] = subject
    return sorted(found.values(), key=lambda subject: (subject.rank, subject.symbol, subject.key))


def _of_subscription(
    one: Subscription,
    contracts: ContractRepository,
    held: frozenset[int],
    data_dir: Path,
    now: datetime,
    nearest: Nearest,
) -> list[Subject]:
    try:
        symbol = one_symbol(one.symbol)
    except InvalidRequest as error:
        return [_refused(one.symbol, str(error))]
    try:
        row = contracts.latest(symbol)
    except NotALake:
        row = None
    if row is None:
        return [
            _refused(
                symbol,
                f"{symbol} is not streamed: the lake has no contract of it. Collect it first:"
                f" trading-assets setup {symbol}.",
            )
        ]
    underlying = underlying_instrument(row)
    subjects = [Subject(QUOTE, symbol, underlying, (0.0,)), Subject(BAR, symbol, underlying, (1.0,))]
    if one.options > 0:
        subjects += _options(symbol, one.options, held, data_dir, now, nearest)
    return subjects


def _options(
    symbol: str, count: int, held: frozenset[int], data_dir: Path, now: datetime, nearest: Nearest
) -> list[Subject]:
    """The contracts of the newest chain that an account holds, and the `count` nearest the money."""
    today = session_date(now)
    session = calendar().on_or_before(today)
    snapshot = OptionChainSnapshotRepository(data_dir=data_dir).latest_chain_snapshot(symbol, session, as_="arrow")
    if snapshot is None:
        return [_refused(symbol, _no_chain(symbol), label=f"{symbol} options")]
    chain: pa.Table = snapshot.frame
    spot = _spot(chain)
    rows = [row for row in chain.to_pylist() if _is_alive(row, today)]
    ranked = nearest.choose(symbol, rows, spot, count)
    price = nearest.price(symbol, spot)
    near = {row["con_id"] for row in ranked}
    ranked += [row for row in rows if row["con_id"] in held - near]
    if not ranked:
        return [_refused(symbol, _no_chain(symbol), label=f"{symbol} options")]
    instruments = option_instruments(pa.Table.from_pylist(ranked, schema=chain.schema))
    return [
        Subject(QUOTE, symbol, instrument, (2.0 if row["con_id"] in held else 3.0, *rank(row, price)))
        for instrument, row in zip(instruments, ranked, strict=True)
    ]


_HELD = """
    select distinct con_id from position_snapshots
    join (select account, max("at") as "at" from position_snapshots group by account) using (account, "at")
    where expiry is not null and quantity <> 0"""


def _held(data_dir: Path) -> frozenset[int]:
    """The options that the accounts held when they were looked at last; none where that cannot be read."""
    try:
        return frozenset(query(data_dir, _HELD).column("con_id").to_pylist())
    except NotALake:
        return frozenset()
    except (TradingAssetsError, OSError) as error:
        logger.warning("Positions could not be read, so none is streamed for being held: %s", error)
        return frozenset()


def _is_alive(row: dict[str, Any], today: date) -> bool:
    return str(row["last_trade"]) >= f"{today:%Y%m%d}"


def _spot(chain: pa.Table) -> float | None:
    known = [price for price in chain.column("underlying_price").to_pylist() if price]
    return sorted(known)[len(known) // 2] if known else None


def _no_chain(symbol: str) -> str:
    return (
        f"No option of {symbol} is streamed: the lake has no listed chain of it that is not expired. Collect it first:"
        f" trading-assets update {symbol}."
    )


def _refused(symbol: str, sentence: str, *, label: str = "", unknown: bool = False) -> Subject:
    return Subject(QUOTE, symbol, Instrument(symbol), refusal=sentence, label=label, unknown=unknown)
