"""`PositionManager`: what the accounts of the login hold, what it is worth and how it moves. It sends no order."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets import arguments
from trading_assets.broker.positions import AccountLook, masked
from trading_assets.collecting.archive import Archive
from trading_assets.errors import InvalidRequest
from trading_assets.repositories.schemas import POSITION_CHANGES, POSITION_SNAPSHOTS
from trading_assets.settings import Settings
from trading_assets.trading.derive import newest_changes
from trading_assets.trading.explained import explained_frame
from trading_assets.trading.portfolio import checked_moves, portfolio_frame, scenario_frame
from trading_assets.trading.positions import Position, position_of
from trading_assets.trading.snapshots import snapshot_rows
from trading_assets.trading.valuing import PositionGreeks, Valuer

SPOT_MOVES = (-0.1, -0.05, -0.02, 0.0, 0.02, 0.05, 0.1)
"""Moves of a scenario where none are named."""


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """A stored look: its instant (UTC), how many accounts it saw, the valued positions, the rows of
    `position_snapshots`, and those of `position_changes` since the look before."""

    at: datetime
    accounts: int
    positions: tuple[PositionGreeks, ...]
    rows: pa.Table = field(repr=False)
    changes: pa.Table = field(repr=False)


class PositionManager(AbstractContextManager["PositionManager"]):
    """Reads the positions of all accounts of the login, and values them.

        manager = PositionManager()
        for position in manager.get_active_positions():
            greeks = manager.calculate_position_greeks(position)

    It connects when positions are first asked for and keeps that connection until `close`, the end of its `with` block
    or the end of the process. A look costs two messages. It works in scripts and in notebooks (inside of a running
    event loop), and no method of it sends an order. Raises `BrokerError` where the broker cannot be reached or does not
    list its positions, `IdentityMismatch` where the lake is of another kind of broker.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._archive = Archive(self.settings)
        self._valuer = Valuer(self.settings, self._archive.calendar)
        weakref.finalize(self, self._archive.close).atexit = False

    def get_active_positions(self, account: str | None = None) -> list[Position]:
        """What is held now, in all accounts or in one: by symbol, shares first, then options by expiry, strike and
        right. Positions of quantity 0, which TWS lists for some time after a sale or an expiry, are left out.

        Raises `InvalidRequest` for an account that the login does not have.
        """
        return self._look(account)[1]

    def calculate_position_greeks(self, position: Position) -> PositionGreeks:
        """Mark and greeks of a position, a share; NaN where they are not known. Nothing is asked of the broker."""
        return self.greeks([position])[0]

    def greeks(self, positions: Sequence[Position]) -> list[PositionGreeks]:
        """The same of many positions, valued together: faster than one after the other."""
        for position in positions:
            if not isinstance(position, Position):
                raise InvalidRequest(f"{position!r:.60} is no position: give one of get_active_positions().")
        return self._valuer.value(positions, self._now())

    def portfolio(self, account: str | None = None) -> pd.DataFrame:
        """What the positions move together, by underlying and expiry (`portfolio.portfolio_frame` names the columns;
        dollars, shares). Raises as `get_active_positions`."""
        return portfolio_frame(self.greeks(self.get_active_positions(account)))

    def scenario(
        self, spot: Iterable[float] = SPOT_MOVES, volatility: Iterable[float] = (0.0,), account: str | None = None
    ) -> pd.DataFrame:
        """What the positions gain when every underlying moves by each of `spot` (0.05 is 5 % up) and every volatility
        by each of `volatility` (0.01 is one point up), by pricing each option anew: one row a currency and pair, with
        the columns of `portfolio.scenario_frame`. Raises as `get_active_positions`, and `InvalidRequest` for moves that
        are no numbers."""
        moves = checked_moves(spot, volatility)  # before anything is asked
        return scenario_frame(self.greeks(self.get_active_positions(account)), *moves)

    def snapshot(self) -> SnapshotTaken:
        """Look at all accounts now, store what they hold (`position_snapshots`) and what has changed since the look
        before (`position_changes`). Two messages. Raises as `get_active_positions`."""
        look, positions = self._look(None)
        at = self._now()
        held = self.greeks(positions)
        calendar, store = self._archive.calendar, self._archive.store
        rows = snapshot_rows(look.accounts, held, at=at, session=calendar.current(at))
        store.upsert(POSITION_SNAPSHOTS, rows)
        changes = newest_changes(self.settings.data_dir, calendar)
        store.upsert(POSITION_CHANGES, changes)
        return SnapshotTaken(at, len(look.accounts), tuple(held), rows, changes.filter(pc.equal(changes["at"], at)))

    def explain_pnl(
        self, first: datetime | None = None, last: datetime | None = None, account: str | None = None
    ) -> pd.DataFrame:
        """The profit and loss of each position between two stored looks, explained by delta, gamma, vega and theta of
        the first, with the residual (`explained.explained_frame` names the columns and says which looks). Default: the
        two newest looks. Nothing is asked of the broker. Raises `InvalidRequest`, and `NotALake` where nothing is
        stored."""
        return explained_frame(arguments.lake_folder(self.settings.data_dir), first, last, account)

    def close(self) -> None:
        """End the connection. A later call makes a new one."""
        self._archive.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look(self, account: str | None) -> tuple[AccountLook, list[Position]]:
        look = self._archive.positions()
        if account is not None and account not in look.accounts:
            known = ", ".join(masked(name) for name in look.accounts)
            raise InvalidRequest(
                f"The login has no account {masked(account)}; it has {known}. Give one of them, or none for all."
            )
        at = self._now()
        held = [position_of(holding, at) for holding in look.holdings if holding.quantity]
        return look, sorted((one for one in held if account in (None, one.account)), key=_order)

    def _now(self) -> datetime:
        return self._archive.now.astimezone(UTC)


def _order(position: Position) -> tuple[object, ...]:
    expiry = position.expiry or date.min
    terms = (expiry, position.strike or 0.0, position.right or "")
    return (position.symbol, not position.is_stock, *terms, position.con_id, position.account)
