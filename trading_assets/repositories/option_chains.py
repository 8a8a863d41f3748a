"""Snapshots of option chains: every listed contract as it was seen in one session."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from trading_assets import arguments
from trading_assets.arguments.symbols import Symbols
from trading_assets.repositories.base import Day, SessionRepository, session_of
from trading_assets.repositories.frames import As, Frame
from trading_assets.repositories.restrictions import restricted
from trading_assets.repositories.schemas import OPTION_CHAINS
from trading_assets.repositories.store import UpsertCounts


@dataclass(frozen=True)
class ChainSnapshot:
    """A chain for `as_of`, and the session it really is of."""

    symbol: str
    as_of: date
    session: date
    frame: Frame

    @property
    def exact(self) -> bool:
        """Whether the snapshot is of the day asked for."""
        return self.session == self.as_of

    def __str__(self) -> str:
        nearest = "earliest after" if self.session > self.as_of else "latest before"
        origin = "its own snapshot" if self.exact else f"there is none of that session, this is the {nearest} it"
        return f"{self.symbol} chain for {self.as_of}: {len(self.frame)} contracts of {self.session} ({origin})."


def choose_snapshot(sessions: Sequence[date], as_of: date) -> date | None:
    """Which of the snapshots (sessions in order) serves `as_of`: its own, else the earliest after, else the latest
    before.

    A later listing still names the contracts of `as_of` that had not expired by then; an earlier one lacks the new
    ones.
    """
    if not sessions:
        return None
    position = bisect_left(sessions, arguments.day(as_of, "as_of"))
    return sessions[position] if position < len(sessions) else sessions[-1]


class OptionChainSnapshotRepository(SessionRepository):
    """Reads and saves chain snapshots. Frames have the columns of `schemas.OPTION_CHAINS`, dtypes of
    `frames.to_pandas`, or are of Arrow or Polars (`as_`).

    Prices in dollars (index points), implied volatility per 1.00, vega per volatility point, theta per day.
    """

    DATASET = OPTION_CHAINS

    def load_chain_snapshot(self, symbol: str, session: Day, *, as_: As = "pandas") -> Frame:
        """The chain seen in exactly that session; without one, an empty frame (see `latest_chain_snapshot`).

        On a weekend or holiday the session before is meant: snapshots taken then are its own.
        """
        return self.load(arguments.stored_symbol(symbol), session_of(session, "session"), as_=as_)

    def latest_chain_snapshot(self, symbol: str, as_of: Day, *, as_: As = "pandas") -> ChainSnapshot | None:
        """The chain that serves `as_of`: its own, else the earliest after, else the latest before; None when there is
        none at all."""
        name, day = arguments.stored_symbol(symbol), session_of(as_of, "as_of")
        session = choose_snapshot(self.sessions(name), day)
        return None if session is None else ChainSnapshot(name, day, session, self.load(name, session, as_=as_))

    def load(self, symbol: Symbols = None, trade_date: Day | None = None, *, as_: As = "pandas") -> Frame:
        """Chains of some or all symbols, of one session or of all, ordered by symbol, session, expiry, strike and
        right."""
        day = arguments.optional_day(trade_date, "trade_date")
        return self._load(restricted(symbol=arguments.stored_symbols(symbol)), as_, first=day, last=day)

    def sessions(self, symbol: str) -> list[date]:
        """Sessions of which there is a snapshot of the symbol, in order."""
        name = arguments.stored_symbol(symbol)
        return self.sessions_by_symbol([name]).get(name, [])

    def sessions_by_symbol(self, symbols: Symbols = None) -> dict[str, list[date]]:
        """Sessions with a snapshot, of each symbol that has any, in order."""
        where = restricted(symbol=arguments.stored_symbols(symbols, "symbols"))
        pairs = self._read(where, columns=["symbol", "session"], distinct=True)
        found: dict[str, list[date]] = {}
        for symbol, session in zip(pairs["symbol"].to_pylist(), pairs["session"].to_pylist(), strict=True):
            found.setdefault(symbol, []).append(session)
        return found

    def save(self, frame: Frame, symbol: str | None = None, session: Day | None = None) -> UpsertCounts:
        """Save a chain that the user has; see `frames.completed` for what is filled in. Raises `InvalidFrame`."""
        return self._save(
            frame,
            symbol=None if symbol is None else arguments.stored_symbol(symbol),
            session=None if session is None else arguments.session(session),
        )
